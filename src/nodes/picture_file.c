// SPDX-License-Identifier: MIT
#include "nodes/picture_file.h"
#include "nodes/file_name.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#if PH_HAVE_PNG
#include <png.h>
#endif
#if PH_HAVE_JPEG
#include <turbojpeg.h>
#endif

#define MAX_FILE (64u << 20)

enum type { PNG, JPEG };

struct ph_picture_writer {
    enum type type;
    uint8_t *bytes; // of the coded picture
    size_t size, capacity;
    void *coder; // tjhandle
};

static ph_err missing(const char *package, struct ph_fault *fault)
{
    return ph_fail(fault, PH_ENOTSUP, "path",
                   "this build lacks a library for such files: install %s and build again",
                   package);
}

// --- reading

static ph_err read_all(const char *path, uint8_t **bytes, size_t *size, struct ph_fault *fault)
{
    *bytes = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ph_err ret = PH_EIO;
    if (fd < 0 || fstat(fd, &st) < 0) {
        ret = ph_fail(fault, errno == ENOENT ? PH_ENOENT : PH_EIO, "path", "cannot read %s: %s",
                      path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE) {
        ret = ph_fail(fault, S_ISREG(st.st_mode) ? PH_ELIMIT : PH_EINVAL, "path",
                      "%s is not a file below 64 MB", path);
    } else if (!(*bytes = malloc((size_t) st.st_size + 1))) {
        ret = ph_fail(fault, PH_ENOMEM, "path", "out of memory for %s", path);
    } else {
        ssize_t got = read(fd, *bytes, (size_t) st.st_size);
        *size = got < 0 ? 0 : (size_t) got;
        ret = PH_OK;
    }
    if (fd >= 0) close(fd);
    return ret;
}

#if PH_HAVE_PNG
static ph_err load_png(const uint8_t *bytes, size_t size, const char *path,
                       struct ph_frame **out, struct ph_fault *fault)
{
    png_image png = { .version = PNG_IMAGE_VERSION };
    ph_err ret = PH_EFORMAT;
    if (!png_image_begin_read_from_memory(&png, bytes, size)) goto bad;
    png.format = PNG_FORMAT_RGBA;
    if (png.width > PH_PICTURE_FILE_MAX_SIDE || png.height > PH_PICTURE_FILE_MAX_SIDE) {
        snprintf(png.message, sizeof png.message, "larger than 16384x16384");
        goto bad;
    }
    PH_TRY(ph_frame_picture(NULL, PH_RGBA, (int) png.width, (int) png.height, out));
    struct ph_picture *p = &(*out)->picture;
    if (png_image_finish_read(&png, NULL, p->data[0], (png_int_32) p->stride[0], NULL))
        return PH_OK;
bad:
    ret = ph_fail(fault, PH_EFORMAT, "path", "%s is no good PNG: %s", path, png.message);
fail:
    png_image_free(&png);
    ph_frame_unref(out);
    return ret;
}
#else
static ph_err load_png(const uint8_t *bytes, size_t size, const char *path,
                       struct ph_frame **out, struct ph_fault *fault)
{
    return missing("libpng-dev", fault);
}
#endif

#if PH_HAVE_JPEG
static ph_err load_jpeg(const uint8_t *bytes, size_t size, const char *path,
                        struct ph_frame **out, struct ph_fault *fault)
{
    tjhandle tj = tjInitDecompress();
    int w, h, subsampling, space;
    ph_err ret = PH_ENOMEM;
    if (!tj) goto fail;
    ret = PH_EFORMAT;
    if (tjDecompressHeader3(tj, bytes, size, &w, &h, &subsampling, &space) < 0) goto fail;
    if (w > PH_PICTURE_FILE_MAX_SIDE || h > PH_PICTURE_FILE_MAX_SIDE) {
        tjDestroy(tj);
        return ph_fail(fault, PH_ELIMIT, "path", "%s is larger than 16384x16384", path);
    }
    PH_TRY(ph_frame_picture(NULL, PH_RGBA, w, h, out));
    struct ph_picture *p = &(*out)->picture;
    ret = PH_EFORMAT;
    if (tjDecompress2(tj, bytes, size, p->data[0], w, (int) p->stride[0], h, TJPF_RGBA,
                      TJFLAG_LIMITSCANS | TJFLAG_STOPONWARNING) < 0)
        goto fail;
    tjDestroy(tj);
    return PH_OK;
fail:
    ret = ph_fail(fault, ret, "path", "%s is no good JPEG: %s", path, tjGetErrorStr2(tj));
    ph_frame_unref(out);
    if (tj) tjDestroy(tj);
    return ret;
}
#else
static ph_err load_jpeg(const uint8_t *bytes, size_t size, const char *path,
                        struct ph_frame **out, struct ph_fault *fault)
{
    return missing("libturbojpeg0-dev", fault);
}
#endif

ph_err ph_picture_load(const char *path, struct ph_frame **out, struct ph_fault *fault)
{
    uint8_t *bytes;
    size_t size = 0;
    *out = NULL;
    ph_err ret = read_all(path, &bytes, &size, fault);
    if (ret < 0) return ret;
    if (size >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8))
        ret = load_png(bytes, size, path, out, fault);
    else if (size >= 3 && !memcmp(bytes, "\xff\xd8\xff", 3))
        ret = load_jpeg(bytes, size, path, out, fault);
    else
        ret = ph_fail(fault, PH_EFORMAT, "path", "%s is neither PNG nor JPEG", path);
    free(bytes);
    return ret;
}

// --- writing

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && !strcasecmp(text + a - b, end);
}

ph_err ph_picture_writer_create(struct ph_picture_writer **out, const char *path,
                                struct ph_fault *fault)
{
    *out = NULL;
    bool png = ends_with(path, ".png"),
         jpeg = ends_with(path, ".jpg") || ends_with(path, ".jpeg");
    if (!png && !jpeg)
        return ph_fail(fault, PH_EINVAL, "path", "path ends in .png, .jpg or .jpeg, got \"%s\"",
                       path);
    if (png && !PH_HAVE_PNG) return missing("libpng-dev", fault);
    if (jpeg && !PH_HAVE_JPEG) return missing("libturbojpeg0-dev", fault);
    struct ph_picture_writer *w = calloc(1, sizeof *w);
    if (!w) return ph_fail(fault, PH_ENOMEM, "path", "out of memory");
    w->type = png ? PNG : JPEG;
#if PH_HAVE_JPEG
    if (jpeg && !(w->coder = tjInitCompress())) {
        free(w);
        return ph_fail(fault, PH_ENOMEM, "path", "no JPEG encoder: %s", tjGetErrorStr());
    }
#endif
    *out = w;
    return PH_OK;
}

void ph_picture_writer_destroy(struct ph_picture_writer **out)
{
    struct ph_picture_writer *w = *out;
    *out = NULL;
    if (!w) return;
#if PH_HAVE_JPEG
    if (w->coder) tjDestroy(w->coder);
#endif
    free(w->bytes);
    free(w);
}

#if PH_HAVE_PNG || PH_HAVE_JPEG
static ph_err room_for(struct ph_picture_writer *w, size_t size)
{
    if (size <= w->capacity) return PH_OK;
    uint8_t *bytes = realloc(w->bytes, size);
    if (!bytes) return PH_ENOMEM;
    w->bytes = bytes;
    w->capacity = size;
    return PH_OK;
}
#endif

#if PH_HAVE_PNG
static ph_err encode_png(struct ph_picture_writer *w, const struct ph_picture *p,
                         struct ph_fault *fault)
{
    png_image png = { .version = PNG_IMAGE_VERSION,
                      .width = (png_uint_32) p->width,
                      .height = (png_uint_32) p->height,
                      .format = PNG_FORMAT_RGBA,
                      .flags = PNG_IMAGE_FLAG_FAST };
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
    ph_err ret = room_for(w, size);
    if (ret < 0) return ph_fail(fault, ret, "path", "out of memory for a PNG");
    if (!png_image_write_to_memory(&png, w->bytes, &size, 0, p->data[0],
                                   (png_int_32) p->stride[0], NULL))
        return ph_fail(fault, PH_EFORMAT, "path", "no PNG was made: %s", png.message);
    w->size = size;
    return PH_OK;
}
#else
static ph_err encode_png(struct ph_picture_writer *w, const struct ph_picture *p,
                         struct ph_fault *fault)
{
    return PH_ENOTSUP;
}
#endif

#if PH_HAVE_JPEG
static ph_err encode_jpeg(struct ph_picture_writer *w, const struct ph_picture *p, int quality,
                          struct ph_fault *fault)
{
    unsigned long size = tjBufSize(p->width, p->height, TJSAMP_420);
    ph_err ret = room_for(w, size);
    if (ret < 0) return ph_fail(fault, ret, "path", "out of memory for a JPEG");
    if (tjCompress2(w->coder, p->data[0], p->width, (int) p->stride[0], p->height, TJPF_RGBA,
                    &w->bytes, &size, TJSAMP_420, quality, TJFLAG_NOREALLOC) < 0)
        return ph_fail(fault, PH_EFORMAT, "path", "no JPEG was made: %s",
                       tjGetErrorStr2(w->coder));
    w->size = size;
    return PH_OK;
}
#else
static ph_err encode_jpeg(struct ph_picture_writer *w, const struct ph_picture *p, int quality,
                          struct ph_fault *fault)
{
    return PH_ENOTSUP;
}
#endif

ph_err ph_picture_save(struct ph_picture_writer *w, const char *path,
                       const struct ph_picture *src, int quality, struct ph_fault *fault)
{
    ph_err ret =
        w->type == PNG ? encode_png(w, src, fault) : encode_jpeg(w, src, quality, fault);
    return ret < 0 ? ret : ph_file_replace(path, w->bytes, w->size, fault);
}
