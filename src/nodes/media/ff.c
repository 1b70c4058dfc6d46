// SPDX-License-Identifier: MIT
#include "nodes/media/ff.h"

#include <libavdevice/avdevice.h>

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void init(void)
{
    static const struct {
        const char *name;
        int level;
    } levels[] = { { "error", AV_LOG_ERROR },
                   { "warning", AV_LOG_WARNING },
                   { "info", AV_LOG_INFO },
                   { "debug", AV_LOG_DEBUG } };
    const char *wanted = getenv("PH_FFMPEG_LOG");
    // It writes to stderr past our log; what matters of it comes back as an error code.
    av_log_set_level(AV_LOG_QUIET);
    for (size_t i = 0; wanted && i < sizeof levels / sizeof *levels; i++)
        if (!strcmp(wanted, levels[i].name)) av_log_set_level(levels[i].level);
    avdevice_register_all();
    avformat_network_init();
}

void ph_ff_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init);
}

const char *ph_ff_text(int error, char *text, size_t size)
{
    switch (error) {
    case AVERROR_EXIT: snprintf(text, size, "no answer in time"); break;
    case AVERROR_EOF: snprintf(text, size, "it ends before its first picture"); break;
    case AVERROR_INVALIDDATA:
        snprintf(text, size, "no video or sound that can be read, or its beginning is damaged");
        break;
    case AVERROR_PROTOCOL_NOT_FOUND:
        snprintf(text, size, "this FFmpeg does not know that kind of URL");
        break;
    default:
        av_strerror(error, text, size);
        if (isupper((unsigned char) text[0]) && islower((unsigned char) text[1]))
            text[0] = (char) tolower((unsigned char) text[0]);
    }
    return text;
}

ph_err ph_ff_err(int error)
{
    switch (error) {
    case AVERROR(ENOTDIR):
    case AVERROR(ENOENT): return PH_ENOENT;
    case AVERROR(EISDIR): return PH_EINVAL;
    case AVERROR(ENOMEM): return PH_ENOMEM;
    case AVERROR(EBUSY): return PH_EBUSY;
    case AVERROR(ENODEV):
    case AVERROR(ENXIO): return PH_EDEVICE;
    case AVERROR(ETIMEDOUT):
    case AVERROR_EXIT: return PH_ETIMEOUT;
    case AVERROR_INVALIDDATA: return PH_EFORMAT;
    case AVERROR_DECODER_NOT_FOUND:
    case AVERROR_PROTOCOL_NOT_FOUND:
    case AVERROR_PATCHWELCOME: return PH_ENOTSUP;
    default: return PH_EIO;
    }
}
