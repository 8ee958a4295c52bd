#ifndef EXAMPLES_TREE_QOI_DECODE_H
#define EXAMPLES_TREE_QOI_DECODE_H

#include <stdint.h>

enum qoi_result {
	QOI_OK = 0,
	QOI_NOT_QOI = 1,   /* the file does not begin with "qoif" */
	QOI_NO_END = 2,    /* the end marker is not where it belongs */
	QOI_NO_MEMORY = 3, /* malloc refused */
};

/* An image as four planes, one after the other: all reds, all greens, all blues, all alphas. */
struct qoi_planes {
	uint32_t width;
	uint32_t height;
	uint8_t *bytes; /* 4 * width * height; the caller frees it */
};

enum qoi_result qoi_decode(const uint8_t *file, uint32_t size, struct qoi_planes *out);

#endif
