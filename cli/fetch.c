// SPDX-License-Identifier: MIT
#include "fetch.h"

#include "config.h"

#if PH_HAVE_CURL
#include "cli.h"
#include "sha256.h"

#include <phosphene/clock.h>

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define TRIES          4 // without a byte in between
#define STALL_SECONDS  30L
#define CONNECT_SECOND 15L

struct cli_fetch {
    CURL *curl;
    char token[512], error[CURL_ERROR_SIZE];
    struct cli_remote remote; // of the reply
    int64_t range_begin;      // of a 206's Content-Range; -1 = none
    struct ph_buf *text;      // where a body goes
    size_t limit;
    struct file *file; // or where else
};

// A file on its way.
struct file {
    const struct cli_download *d;
    FILE *out;
    int64_t have;
    struct cli_sha256 hash;
    bool checked, broken; // checked: the reply of this try fits; broken: a write failed
};

ph_err cli_fetch_open(struct cli_fetch **out, const char *token, struct ph_fault *fault)
{
    struct cli_fetch *f = *out = calloc(1, sizeof *f);
    if (f && !curl_global_init(CURL_GLOBAL_DEFAULT) && (f->curl = curl_easy_init())) {
        snprintf(f->token, sizeof f->token, "%s", token ? token : "");
        return PH_OK;
    }
    cli_fetch_close(out);
    return ph_fail(fault, PH_ENOMEM, "", "out of memory");
}

void cli_fetch_close(struct cli_fetch **out)
{
    struct cli_fetch *f = *out;
    *out = NULL;
    if (!f) return;
    if (f->curl) curl_easy_cleanup(f->curl);
    free(f);
}

// ------------------------------------------------------------------------------ one exchange
static long status_of(struct cli_fetch *f)
{
    long status = 0;
    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static void take_sha256(struct cli_remote *r, const char *value)
{
    char hex[65] = "";
    if (sscanf(value, " %*[\"]%64[0-9a-f]", hex) != 1) sscanf(value, " %64[0-9a-f]", hex);
    if (strlen(hex) == 64) memcpy(r->sha256, hex, sizeof hex);
}

// Headers of every reply of the exchange, redirects too: a hub tells size and checksum there.
static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
    struct cli_fetch *f = arg;
    char text[512];
    long long first;
    snprintf(text, sizeof text, "%.*s", (int) (n < sizeof text ? n : sizeof text - 1), line);
    if (!strncasecmp(text, "X-Linked-Etag:", 14)) take_sha256(&f->remote, text + 14);
    if (!strncasecmp(text, "X-Linked-Size:", 14)) f->remote.size = atoll(text + 14);
    if (!strncasecmp(text, "Content-Range:", 14))
        f->range_begin = sscanf(text + 14, " bytes %lld", &first) == 1 ? first : -1;
    return n * one;
}

// The rest of the file comes, or all of it again from a server that knows no ranges.
static bool accept_reply(struct cli_fetch *f, struct file *file)
{
    long status = status_of(f);
    if (status == 206) return f->range_begin == file->have;
    if (status != 200) return false;
    file->have = 0;
    cli_sha256_begin(&file->hash);
    return !fflush(file->out) && !ftruncate(fileno(file->out), 0); // opened to append
}

static size_t write_file(struct cli_fetch *f, struct file *file, const char *bytes, size_t n)
{
    if (!file->checked && !accept_reply(f, file)) return 0;
    file->checked = true;
    if (fwrite(bytes, 1, n, file->out) != n) {
        file->broken = true;
        return 0;
    }
    cli_sha256_add(&file->hash, bytes, n);
    file->have += (int64_t) n;
    return file->d->size >= 0 && file->have > file->d->size ? 0 : n; // it would not end
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct cli_fetch *f = arg;
    if (status_of(f) >= 400) return n; // a page that explains it to people
    if (f->file) return write_file(f, f->file, bytes, n);
    if (!f->text || f->text->len + n > f->limit) return 0;
    ph_buf_put(f->text, bytes, n);
    return f->text->failed ? 0 : n;
}

static int on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up)
{
    struct cli_fetch *f = arg;
    const struct cli_download *d = f->file ? f->file->d : NULL;
    if (d && d->progress) d->progress(d->opaque, f->file->have);
    return cli_signal != 0;
}

static void set_up(struct cli_fetch *f, const char *url)
{
    CURL *c = f->curl;
    bool secure = !strncasecmp(url, "https:", 6);
    curl_easy_reset(c);
    f->error[0] = 0;
    f->remote = (struct cli_remote){ .size = -1 };
    f->range_begin = -1;
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "phosphene/" PH_VERSION);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 8L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECOND);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->error);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, f);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    if (!*f->token) return;
    curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, f->token); // libcurl keeps it from other hosts
}

// What the exchange came to. PH_EIO is worth another try, others are not.
static ph_err judge(struct cli_fetch *f, CURLcode code, const char *url, struct ph_fault *fault)
{
    long status = status_of(f);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return ph_fail(fault, PH_ESTOPPED, "", "%s: interrupted", url);
    if (code == CURLE_OUT_OF_MEMORY) return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    if (status == 404)
        return ph_fail(fault, PH_ENOENT, "url", "%s: there is no such file", url);
    if (status == 401 || status == 403)
        return ph_fail(fault, PH_ENOTSUP, "url",
                       "%s: not without permission (%ld): --hub-token, or another model", url,
                       status);
    if (status == 429 || status >= 500)
        return ph_fail(fault, PH_EIO, "url", "%s: the server says %ld", url, status);
    if (status >= 400)
        return ph_fail(fault, PH_EFORMAT, "url", "%s: the server says %ld", url, status);
    if (code == CURLE_OK) return PH_OK;
    bool hopeless = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
                    code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_TOO_MANY_REDIRECTS;
    return ph_fail(fault, hopeless ? PH_EINVAL : PH_EIO, "url", "%s: %s", url,
                   *f->error ? f->error : curl_easy_strerror(code));
}

ph_err cli_fetch_text(struct cli_fetch *f, const char *url, size_t limit, struct ph_buf *out,
                      struct ph_fault *fault)
{
    set_up(f, url);
    f->text = out;
    f->limit = out->len + limit;
    CURLcode code = curl_easy_perform(f->curl);
    f->text = NULL;
    if (code == CURLE_WRITE_ERROR)
        return ph_fail(fault, PH_ELIMIT, "url", "%s: longer than %zu bytes", url, limit);
    return judge(f, code, url, fault);
}

ph_err cli_fetch_head(struct cli_fetch *f, const char *url, struct cli_remote *out,
                      struct ph_fault *fault)
{
    curl_off_t size = -1;
    set_up(f, url);
    curl_easy_setopt(f->curl, CURLOPT_NOBODY, 1L);
    CURLcode code = curl_easy_perform(f->curl);
    curl_easy_getinfo(f->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    if (f->remote.size < 0) f->remote.size = size;
    *out = f->remote;
    return judge(f, code, url, fault);
}

// ------------------------------------------------------------------------------ a file
static ph_err fail_write(const char *path, struct ph_fault *fault)
{
    return ph_fail(fault, PH_ELIMIT, "path", "cannot write %s: %s", path, strerror(errno));
}

// Opens what an earlier call left, hashes it and stands at its end.
static ph_err open_part(struct file *file, const char *part, struct ph_fault *fault)
{
    static char bytes[1 << 16];
    file->out = fopen(part, "a+be");
    if (!file->out) return fail_write(part, fault);
    if (!*file->d->sha256 && ftruncate(fileno(file->out), 0)) return fail_write(part, fault);
    cli_sha256_begin(&file->hash);
    rewind(file->out);
    for (size_t n; *file->d->sha256 && (n = fread(bytes, 1, sizeof bytes, file->out));) {
        cli_sha256_add(&file->hash, bytes, n);
        file->have += (int64_t) n;
        if (cli_signal) return ph_fail(fault, PH_ESTOPPED, "", "interrupted");
    }
    return fseeko(file->out, 0, SEEK_END) ? fail_write(part, fault) : PH_OK;
}

static ph_err try_once(struct cli_fetch *f, struct file *file, struct ph_fault *fault)
{
    char range[32];
    set_up(f, file->d->url);
    snprintf(range, sizeof range, "%lld-", (long long) file->have);
    if (file->have) curl_easy_setopt(f->curl, CURLOPT_RANGE, range);
    file->checked = file->broken = false;
    f->file = file;
    CURLcode code = curl_easy_perform(f->curl);
    f->file = NULL;
    if (file->broken) return fail_write(file->d->path, fault);
    if (status_of(f) == 416) return PH_OK; // nothing is left, or what is here is wrong
    return judge(f, code, file->d->url, fault);
}

// Whether a try may follow one that ended with ret: after a pause that grows while nothing comes.
static bool try_again(ph_err ret, int failures)
{
    if (ret != PH_EIO || failures >= TRIES) return false;
    int64_t end = ph_now_ns() + (int64_t) (PH_SECOND_NS / 4) * (1 << failures);
    while (ph_now_ns() < end && !cli_signal) ph_sleep_until_ns(ph_now_ns() + 20 * PH_MS_NS);
    return !cli_signal;
}

static ph_err receive(struct cli_fetch *f, struct file *file, struct ph_fault *fault)
{
    ph_err ret = PH_OK;
    int failures = 0;
    do {
        int64_t before = file->have;
        if (file->d->size >= 0 && file->have >= file->d->size) return PH_OK;
        ret = try_once(f, file, fault);
        bool goes_on = *file->d->sha256 && file->have > before;
        failures = goes_on ? 1 : failures + 1;
        if (ret == PH_EIO && !*file->d->sha256) file->have = 0; // the next try begins anew
    } while (try_again(ret, failures));
    return ret;
}

static ph_err check(struct file *file, struct ph_fault *fault)
{
    const struct cli_download *d = file->d;
    char hex[65];
    if (d->size >= 0 && file->have != d->size)
        return ph_fail(fault, PH_EFORMAT, "url", "%s: %lld bytes came, %lld were announced",
                       d->url, (long long) file->have, (long long) d->size);
    cli_sha256_end(&file->hash, hex);
    if (*d->sha256 && strcmp(hex, d->sha256) != 0)
        return ph_fail(fault, PH_EFORMAT, "url",
                       "%s: its SHA-256 is %s, expected %s: it was damaged on its way, and is "
                       "removed",
                       d->url, hex, d->sha256);
    return PH_OK;
}

ph_err cli_fetch_file(struct cli_fetch *f, const struct cli_download *d, struct ph_fault *fault)
{
    struct file file = { .d = d };
    char part[4096];
    ph_err ret = PH_ELIMIT;
    if (snprintf(part, sizeof part, "%s.part", d->path) >= (int) sizeof part)
        return ph_fail(fault, ret, "path", "%s: the path is too long", d->path);
    PH_TRY(open_part(&file, part, fault));
    PH_TRY(receive(f, &file, fault));
    PH_TRY(check(&file, fault));
    if (fflush(file.out) || fsync(fileno(file.out))) PH_TRY(fail_write(part, fault));
    fclose(file.out);
    return rename(part, d->path) ? fail_write(d->path, fault) : PH_OK;
fail:
    if (file.out) fclose(file.out);
    if (ret == PH_EFORMAT || !file.have) unlink(part);
    return ret;
}

#else

static ph_err missing(struct ph_fault *fault)
{
    return ph_fail(
        fault, PH_ENOTSUP, "url",
        "this build cannot download: install libcurl4-openssl-dev and build again, or "
        "fetch the folder by other means");
}

ph_err cli_fetch_open(struct cli_fetch **out, const char *token, struct ph_fault *fault)
{
    *out = NULL;
    return missing(fault);
}

void cli_fetch_close(struct cli_fetch **f)
{
    *f = NULL;
}

ph_err cli_fetch_text(struct cli_fetch *f, const char *url, size_t limit, struct ph_buf *out,
                      struct ph_fault *fault)
{
    return missing(fault);
}

ph_err cli_fetch_head(struct cli_fetch *f, const char *url, struct cli_remote *out,
                      struct ph_fault *fault)
{
    return missing(fault);
}

ph_err cli_fetch_file(struct cli_fetch *f, const struct cli_download *d, struct ph_fault *fault)
{
    return missing(fault);
}

#endif
