// SPDX-License-Identifier: MIT
// Codecs and fonts: not what was compiled in, but what answers when it is asked.
#include "doctor.h"

#include "config.h"

#include <stdio.h>
#include <string.h>

#if PH_HAVE_JPEG
#include <turbojpeg.h>

// A picture there and back: the library is loaded, fits its header and works.
static bool jpeg_works(void)
{
    unsigned char picture[16 * 16 * 4] = { 0 }, *jpeg = NULL;
    unsigned long size = 0;
    tjhandle c = tjInitCompress(), d = tjInitDecompress();
    bool ok = c && d &&
              !tjCompress2(c, picture, 16, 0, 16, TJPF_RGBA, &jpeg, &size, TJSAMP_420, 85, 0) &&
              !tjDecompress2(d, jpeg, size, picture, 16, 0, 16, TJPF_RGBA, 0);
    tjFree(jpeg);
    if (c) tjDestroy(c);
    if (d) tjDestroy(d);
    return ok;
}

static void probe_jpeg(struct doctor *d)
{
    doctor_add(d, "pictures", "jpeg", jpeg_works() ? DOCTOR_OK : DOCTOR_MISSING,
               "libturbojpeg0", "libjpeg-turbo %s", PH_JPEG_VERSION);
}
#else
static void probe_jpeg(struct doctor *d)
{
    doctor_add(d, "pictures", "jpeg", DOCTOR_MISSING, "libturbojpeg0-dev",
               "built without libjpeg-turbo: no picture reaches a browser");
}
#endif

#if PH_HAVE_PNG
#include <png.h>
static void probe_png(struct doctor *d)
{
    doctor_add(d, "pictures", "png", DOCTOR_OK, NULL, "libpng %s", png_get_libpng_ver(NULL));
}
#else
static void probe_png(struct doctor *d)
{
    doctor_add(d, "pictures", "png", DOCTOR_MISSING, "libpng-dev", "built without libpng");
}
#endif

#if PH_HAVE_FFMPEG
#include <libavcodec/avcodec.h>
#include <libavdevice/avdevice.h>
#include <libavformat/avformat.h>

// The first of the names that there is an encoder for.
static const char *find_encoder(const char *const *names)
{
    for (; *names; names++)
        if (avcodec_find_encoder_by_name(*names)) return *names;
    return NULL;
}

static void probe_encoder(struct doctor *d, const char *name, const char *const *encoders,
                          const char *lost)
{
    const char *found = find_encoder(encoders);
    doctor_add(d, "video", name, found ? DOCTOR_OK : DOCTOR_MISSING, "libavcodec-extra", "%s",
               found ? found : lost);
}

static bool has_protocol(const char *name)
{
    void *at = NULL;
    for (const char *p; (p = avio_enum_protocols(&at, 0));)
        if (!strcmp(p, name)) return true;
    return false;
}

static void probe_streams(struct doctor *d)
{
    static const char *const names[] = { "http", "https", "srt", "rtmp", "udp", NULL };
    char text[128] = "";
    size_t at = 0;
    if (av_find_input_format("rtsp")) at += (size_t) snprintf(text, sizeof text, "rtsp");
    for (int i = 0; names[i]; i++)
        if (has_protocol(names[i]))
            at +=
                (size_t) snprintf(text + at, sizeof text - at, "%s%s", at ? " " : "", names[i]);
    doctor_add(d, "video", "streams", at ? DOCTOR_OK : DOCTOR_MISSING, "libavformat-dev", "%s",
               at ? text : "this FFmpeg opens no network stream");
}

static void probe_ffmpeg(struct doctor *d)
{
    static const char *const h264[] = { "libx264", "libopenh264", "h264_nvenc", "h264_vaapi",
                                        NULL };
    static const char *const vp8[] = { "libvpx", NULL };
    static const char *const aac[] = { "aac", "libfdk_aac", NULL };
    unsigned v = avcodec_version();
    doctor_add(d, "video", "ffmpeg", DOCTOR_OK, NULL, "%s (libavcodec %u.%u.%u)",
               av_version_info(), v >> 16, v >> 8 & 255, v & 255);
    bool decodes = avcodec_find_decoder(AV_CODEC_ID_H264) != NULL;
    doctor_add(d, "video", "h264 in", decodes ? DOCTOR_OK : DOCTOR_MISSING, "libavcodec-extra",
               "%s", decodes ? avcodec_find_decoder(AV_CODEC_ID_H264)->name : "no decoder");
    probe_encoder(d, "h264 out", h264, "no encoder: recordings and video to browsers");
    probe_encoder(d, "vp8 out", vp8, "no encoder: browsers without H.264 get JPEG");
    probe_encoder(d, "aac out", aac, "no encoder: recordings have no sound");
    probe_streams(d);
}
#else
static void probe_ffmpeg(struct doctor *d)
{
    doctor_add(d, "video", "ffmpeg", DOCTOR_MISSING,
               "libavformat-dev libavcodec-dev libavdevice-dev libswscale-dev "
               "libswresample-dev",
               "built without FFmpeg: no files, streams, cameras, recordings");
}
#endif

#if PH_HAVE_TEXT
#include <fontconfig/fontconfig.h>

static void probe_fonts(struct doctor *d)
{
    FcPattern *wanted = FcNameParse((const FcChar8 *) "sans-serif");
    FcResult result;
    FcConfigSubstitute(NULL, wanted, FcMatchPattern);
    FcDefaultSubstitute(wanted);
    FcPattern *found = FcFontMatch(NULL, wanted, &result);
    FcChar8 *family = NULL;
    bool ok = found && FcPatternGetString(found, FC_FAMILY, 0, &family) == FcResultMatch;
    FcFontSet *all = FcConfigGetFonts(NULL, FcSetSystem);
    doctor_add(d, "text", "fonts", ok ? DOCTOR_OK : DOCTOR_MISSING, "fonts-dejavu-core",
               ok ? "%s, and %d more" : "no font at all", ok ? (const char *) family : "",
               all && all->nfont > 0 ? all->nfont - 1 : 0);
    if (found) FcPatternDestroy(found);
    FcPatternDestroy(wanted);
    FcFini();
}
#else
static void probe_fonts(struct doctor *d)
{
    doctor_add(d, "text", "fonts", DOCTOR_MISSING,
               "libfreetype-dev libharfbuzz-dev libfontconfig-dev",
               "built without text shaping: no text");
}
#endif

void doctor_probe_media(struct doctor *d)
{
    probe_jpeg(d);
    probe_png(d);
    probe_ffmpeg(d);
    probe_fonts(d);
}
