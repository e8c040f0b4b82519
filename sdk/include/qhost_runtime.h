/* qhost_runtime.h: runs a packed network (`qhost export`) without LibTorch. Plain C.
 *
 *     qhost_error error;
 *     qhost_model* model = qhost_model_load("net.safetensors", &error);
 *     if (!model) { fprintf(stderr, "%s\n", error.text); return 1; }
 *     qhost_runner* runner = qhost_runner_new(model, 1, &error);
 *     qhost_normalize(model, pixels, image);
 *     qhost_runner_run(runner, image, 1, logits);
 *
 * A model is not changed by runs: any number of runners, each used by one thread at a time, may
 * share it. A run allocates nothing. Link with -lqhost_runtime (pkg-config: qhost-runtime; CMake:
 * find_package(QhostRuntime), qhost::runtime).
 *
 * The kernels are the fastest that the CPU has; QHOST_RUNTIME_ISA=portable|avx2|avx512 in the
 * environment names others. A network may need up to 1 GiB for the values of an image and up to 2 GiB
 * for its weights in the form of the kernels.
 */
#ifndef QHOST_RUNTIME_H
#define QHOST_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define QHOST_RUNTIME_API __attribute__((visibility("default")))
#else
#define QHOST_RUNTIME_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qhost_model qhost_model;
typedef struct qhost_runner qhost_runner;

/* Where a failing call writes why, one line or several, cut to its size. NULL: nobody reads it. */
typedef struct qhost_error {
  char text[1024];
} qhost_error;

/* "0.2.0" */
QHOST_RUNTIME_API const char* qhost_runtime_version(void);

/* NULL on failure: no such file, not a packed network, damaged, of a newer version, beyond a limit, an
 * unknown QHOST_RUNTIME_ISA. The bytes of qhost_model_load_memory are copied. */
QHOST_RUNTIME_API qhost_model* qhost_model_load(const char* path, qhost_error* error);
QHOST_RUNTIME_API qhost_model* qhost_model_load_memory(const void* bytes, size_t size,
                                                       qhost_error* error);
/* Its runners may live on. NULL is allowed. */
QHOST_RUNTIME_API void qhost_model_free(qhost_model* model);

/* Channels, height, width of the images; height and width are 1 for a network of features. */
QHOST_RUNTIME_API void qhost_model_input(const qhost_model* model, size_t shape[3]);
/* How many logits an image gets. */
QHOST_RUNTIME_API size_t qhost_model_classes(const qhost_model* model);
/* NULL if the file has no names, or for an index beyond the last class. */
QHOST_RUNTIME_API const char* qhost_model_class_name(const qhost_model* model, size_t index);
/* What the file says of its origin, as JSON. */
QHOST_RUNTIME_API const char* qhost_model_info(const qhost_model* model);
/* "avx512", "avx2", "portable" */
QHOST_RUNTIME_API const char* qhost_model_kernels(const qhost_model* model);

/* (pixel / 255 - mean) / std of the training. `pixels` are height x width x channels bytes (the
 * order of an image file), `image` is channels x height x width floats. */
QHOST_RUNTIME_API void qhost_normalize(const qhost_model* model, const uint8_t* pixels,
                                       float* image);

/* `threads`: 1 to 1024. NULL on failure: no memory, no threads. */
QHOST_RUNTIME_API qhost_runner* qhost_runner_new(const qhost_model* model, int threads,
                                                 qhost_error* error);
/* NULL is allowed. */
QHOST_RUNTIME_API void qhost_runner_free(qhost_runner* runner);
/* `images` are `count` normalized images, `logits` `count` times the classes. */
QHOST_RUNTIME_API void qhost_runner_run(qhost_runner* runner, const float* images, size_t count,
                                        float* logits);

#ifdef __cplusplus
}
#endif

#endif
