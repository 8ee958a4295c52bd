package main

import (
	"image"
	"image/color"
	"math"
	"math/cmplx"
)

// rendered returns the images that are computed: one without and one with transparent pixels.
func rendered() map[string]image.Image {
	return map[string]image.Image{
		"julia.qoi":   julia(),
		"spheres.qoi": spheres(),
	}
}

// julia colors each point by how long z*z + c stays small when it starts there.
func julia() image.Image {
	const w, h = 320, 240
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			z := complex((float64(x)-w/2)/100, (float64(y)-h/2)/100)
			m.SetNRGBA(x, y, dusk(escape(z)))
		}
	}
	return m
}

// escape returns how soon z leaves, from 0 (at once) to 1 (never), without steps.
func escape(z complex128) float64 {
	const most = 160
	for n := range most {
		if r := cmplx.Abs(z); r > 8 {
			return (float64(n) - math.Log2(math.Log(r)/math.Log(8))) / most
		}
		z = z*z + complex(-0.79, 0.156)
	}
	return 1
}

// dusk goes from dark blue over orange to white.
func dusk(t float64) color.NRGBA {
	t = math.Sqrt(max(0, min(t, 1)))
	return color.NRGBA{unit(2.2 * t), unit(1.6*t*t + 0.05), unit(0.25 + t*(1-t) + t*t*t*t), 255}
}

// sphere is a ball in front of a viewer who looks along z, towards larger numbers, from straight ahead of each pixel.
type sphere struct {
	x, y, z, radius  float64
	red, green, blue float64
}

var balls = []sphere{
	{100, 120, 200, 72, 0.29, 0.58, 0.51}, // verdigris
	{190, 95, 260, 62, 0.72, 0.45, 0.20},  // copper
	{215, 175, 150, 38, 0.85, 0.83, 0.78}, // tin
	{262, 60, 180, 26, 0.45, 0.68, 0.60},
}

// spheres is ray traced; where no ball is, the image is transparent, and soft at the balls' edges.
func spheres() image.Image {
	const w, h, grid = 320, 240, 3
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			var sum [4]float64
			for i := range grid * grid {
				ray(float64(x)+float64(i%grid)/grid, float64(y)+float64(i/grid)/grid, &sum)
			}
			if n := sum[3]; n > 0 {
				m.SetNRGBA(x, y, color.NRGBA{unit(sum[0] / n), unit(sum[1] / n), unit(sum[2] / n), unit(n / (grid * grid))})
			}
		}
	}
	return m
}

// ray adds the color of the nearest ball at (x, y), if there is one, and counts it.
func ray(x, y float64, sum *[4]float64) {
	nearest, at := -1, math.Inf(1)
	for i, b := range balls {
		dx, dy := x-b.x, y-b.y
		if inside := b.radius*b.radius - dx*dx - dy*dy; inside > 0 && b.z-math.Sqrt(inside) < at {
			nearest, at = i, b.z-math.Sqrt(inside)
		}
	}
	if nearest < 0 {
		return
	}
	b := balls[nearest]
	light, shine := lit((x-b.x)/b.radius, (y-b.y)/b.radius, (at-b.z)/b.radius)
	sum[0] += b.red*light + shine
	sum[1] += b.green*light + shine
	sum[2] += b.blue*light + shine
	sum[3]++
}

// lit says how bright a surface is that faces (x, y, z), under a lamp to the left, above and in front.
func lit(x, y, z float64) (light, shine float64) {
	const lx, ly, lz = -0.48, -0.6, -0.64
	facing := max(0, x*lx+y*ly+z*lz)
	mirrored := max(0, -(2*facing*z - lz)) // the mirrored lamp, seen by the viewer
	return 0.18 + 0.82*facing, 0.6 * math.Pow(mirrored, 40)
}

func unit(v float64) byte { return byte(255*max(0, min(v, 1)) + 0.5) }
