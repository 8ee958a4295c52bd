/*
 * A small QOI decoder that trusts its input, as brittle decoders do. Two mistakes are here on purpose; both are
 * of kinds that are found in real decoders every year. They are marked "Mistake".
 */
#include "decode.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER = 14, END = 8 };

static const uint8_t end_marker[END] = {0, 0, 0, 0, 0, 0, 0, 1};

struct pixel {
	uint8_t r, g, b, a;
};

static uint32_t big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static unsigned place(struct pixel p)
{
	return (p.r * 3u + p.g * 5u + p.b * 7u + p.a * 11u) % 64u;
}

static void put(uint8_t *bytes, size_t plane, size_t i, struct pixel p)
{
	bytes[0 * plane + i] = p.r;
	bytes[1 * plane + i] = p.g;
	bytes[2 * plane + i] = p.b;
	bytes[3 * plane + i] = p.a;
}

/* Changes p to what the chunk at in says, sets run to how many pixels it stands for, returns the next chunk. */
static const uint8_t *step(const uint8_t *in, const struct pixel *seen, struct pixel *p, unsigned *run)
{
	uint8_t tag = *in++;
	*run = 1;
	if (tag >= 0xfe) {
		p->r = *in++;
		p->g = *in++;
		p->b = *in++;
		if (tag == 0xff)
			p->a = *in++;
		return in;
	}
	switch (tag >> 6) {
	case 0:
		*p = seen[tag];
		break;
	case 1:
		p->r += (tag >> 4 & 3) - 2;
		p->g += (tag >> 2 & 3) - 2;
		p->b += (tag & 3) - 2;
		break;
	case 2: {
		int green = (tag & 63) - 32;
		p->r += green + (*in >> 4) - 8;
		p->g += green;
		p->b += green + (*in & 15) - 8;
		in++;
		break;
	}
	case 3:
		*run = (tag & 63) + 1;
		break;
	}
	return in;
}

static void fill(const uint8_t *in, uint8_t *bytes, size_t plane)
{
	struct pixel seen[64] = {{0, 0, 0, 0}};
	struct pixel p = {0, 0, 0, 255};
	size_t i = 0;
	while (i < plane) {
		unsigned run;
		in = step(in, seen, &p, &run);
		seen[place(p)] = p;
		while (run-- > 0)
			put(bytes, plane, i++, p);
	}
}

enum qoi_result qoi_decode(const uint8_t *file, uint32_t size, struct qoi_planes *out)
{
	if (size < 4 || memcmp(file, "qoif", 4) != 0)
		return QOI_NOT_QOI;

	/*
	 * Mistake 1: a file shorter than header and end marker together makes this difference wrap around to
	 * almost 4 GiB, and the marker is looked for there.
	 */
	uint32_t chunks = size - HEADER - END;
	if (memcmp(file + HEADER + chunks, end_marker, END) != 0)
		return QOI_NO_END;

	out->width = big_endian(file + 4);
	out->height = big_endian(file + 8);

	/*
	 * Mistake 2: this product is taken in 32 bits, so a large enough image gets a small buffer. Where a plane
	 * begins is computed in 64 bits: somebody corrected that line and forgot this one.
	 */
	uint32_t bytes = 4 * out->width * out->height;
	size_t plane = (size_t)out->width * out->height;
	out->bytes = malloc(bytes);
	if (out->bytes == NULL)
		return QOI_NO_MEMORY;

	fill(file + HEADER, out->bytes, plane);
	return QOI_OK;
}
