/* classify NET.safetensors IMAGE.png: the class of an image, by libqhost_runtime and libpng.
 *
 *     cc classify.c -o classify $(pkg-config --cflags --libs qhost-runtime libpng)
 */
#include <png.h>
#include <qhost_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The pixels of an image, as many channels as the network wants, or NULL. */
static unsigned char* read_png(const char* path, const size_t shape[3]) {
  png_image png;
  unsigned char* pixels;
  memset(&png, 0, sizeof png);
  png.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&png, path)) {
    fprintf(stderr, "%s: %s\n", path, png.message);
    return NULL;
  }
  if (png.height != shape[1] || png.width != shape[2] || (shape[0] != 1 && shape[0] != 3)) {
    fprintf(stderr, "%s has %ux%u pixels; the network wants %zux%zu of %zu channels\n", path,
            (unsigned)png.height, (unsigned)png.width, shape[1], shape[2], shape[0]);
    png_image_free(&png);
    return NULL;
  }
  png.format = shape[0] == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  pixels = malloc(PNG_IMAGE_SIZE(png));
  if (pixels && !png_image_finish_read(&png, NULL, pixels, 0, NULL)) {
    fprintf(stderr, "%s: %s\n", path, png.message);
    free(pixels);
    pixels = NULL;
  }
  return pixels;
}

int main(int argc, char** argv) {
  qhost_error error;
  qhost_model* model;
  qhost_runner* runner;
  unsigned char* pixels;
  float *image, *logits;
  const char* name;
  size_t shape[3], classes, best = 0, i;

  if (argc != 3) {
    fprintf(stderr, "classify NET.safetensors IMAGE.png\n");
    return 2;
  }
  model = qhost_model_load(argv[1], &error);
  runner = model ? qhost_runner_new(model, 1, &error) : NULL;
  if (!runner) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  qhost_model_input(model, shape);
  classes = qhost_model_classes(model);
  pixels = read_png(argv[2], shape);
  if (!pixels) return 1;
  image = malloc(shape[0] * shape[1] * shape[2] * sizeof *image);
  logits = malloc(classes * sizeof *logits);
  if (!image || !logits) return 1;

  qhost_normalize(model, pixels, image);
  qhost_runner_run(runner, image, 1, logits);
  for (i = 1; i < classes; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  name = qhost_model_class_name(model, best);
  printf("%zu %s %.6f\n", best, name ? name : "-", logits[best]);

  free(pixels);
  free(image);
  free(logits);
  qhost_runner_free(runner);
  qhost_model_free(model);
  return 0;
}
