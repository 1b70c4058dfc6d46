// SPDX-License-Identifier: MIT
// The window on a display of its own (Xvfb), looked at by somebody else (ffmpeg's screen grabber).
#include "run.h"

#include "config.h"

static struct run live;

#if PH_HAVE_SDL
#define SDL_MAIN_HANDLED
#include <SDL.h>

// SDL, D-Bus and the driver, which is unloaded before it could be named, keep some memory until the
// process ends, and to tell it from ours takes call stacks that make this too slow. The driver's
// own threads race.
#define TO_SANITIZER __attribute__((visibility("default"))) const char *
TO_SANITIZER __asan_default_options(void);
TO_SANITIZER __asan_default_options(void)
{
    return "detect_leaks=0";
}

TO_SANITIZER __tsan_default_suppressions(void);
TO_SANITIZER __tsan_default_suppressions(void)
{
    return "race:swrast_dri\nrace:libSDL2\n";
}

static pid_t xvfb;
static int display;

static void end_display(void)
{
    kill(xvfb, SIGTERM);
    waitpid(xvfb, NULL, 0);
}

static void need_display(const char *screen)
{
    int ends[2];
    char text[16] = "";
    if (system("command -v Xvfb >/dev/null && command -v ffmpeg >/dev/null"))
        TEST_SKIP("Xvfb or ffmpeg is not installed");
    CHECK(pipe(ends) == 0);
    xvfb = fork();
    if (!xvfb) {
        char fd[12];
        snprintf(fd, sizeof fd, "%d", ends[1]);
        close(ends[0]);
        execlp("Xvfb", "Xvfb", "-displayfd", fd, "-screen", "0", screen, "-nolisten", "tcp",
               NULL);
        _exit(127);
    }
    close(ends[1]);
    for (size_t n = 0; !strchr(text, '\n');) { // number and newline come by themselves
        ssize_t got = read(ends[0], text + n, sizeof text - 1 - n);
        CHECK(got > 0);
        n += (size_t) got;
    }
    close(ends[0]);
    display = atoi(text);
    snprintf(text, sizeof text, ":%d", display);
    setenv("DISPLAY", text, 1);
    unsetenv("WAYLAND_DISPLAY");
    unsetenv("SDL_VIDEODRIVER");
    atexit(end_display);
}

static uint8_t screen_rgb[640 * 480 * 3];

static void grab(int w, int h)
{
    char command[300];
    snprintf(
        command, sizeof command,
        "ffmpeg -loglevel error -f x11grab -draw_mouse 0 -video_size %dx%d -i :%d -frames:v 1 "
        "-f rawvideo -pix_fmt rgb24 -",
        w, h, display);
    FILE *f = popen(command, "r");
    CHECK_INT(fread(screen_rgb, 1, (size_t) w * (size_t) h * 3, f), ==, w * h * 3);
    pclose(f);
}

static int far_from(int w, int x, int y, uint32_t want)
{
    const uint8_t *d = screen_rgb + 3 * (y * w + x);
    return px_far((uint32_t) d[0] << 24 | (uint32_t) d[1] << 16 | (uint32_t) d[2] << 8 | 255,
                  want);
}

// Until the screen shows a colour at a place; the display and the software renderer take a while.
static void wait_for(int w, int h, int x, int y, uint32_t want)
{
    for (int i = 0; i < 100 * TEST_SLOW; i++) {
        grab(w, h);
        if (far_from(w, x, y, want) <= 4) return;
        usleep(50000);
    }
    TEST_FAIL("(%d, %d) never became #%08x", x, y, want);
}

static void wait_for_problem(const char *part)
{
    char problem[sizeof live.problem] = "";
    while (!strstr(problem, part)) {
        usleep(30000);
        pthread_mutex_lock(&run_lock);
        strcpy(problem, live.problem);
        pthread_mutex_unlock(&run_lock);
    }
    CHECK_HAS(problem, part);
}

static void start(const char *text)
{
    struct ph_fault fault = { 0 };
    struct ph_graph_params par = {
        .log = live.par.log, .mode = PH_LIVE, .event = run_event, .opaque = &live
    };
    if (ph_graph_create(&live.graph, text, &par, &fault) < 0) TEST_FAIL("%s", fault.message);
    CHECK_OK(ph_graph_start(live.graph));
}

TEST(the_window_shows_every_pixel_of_the_picture_upright)
{
    need_display("320x240x24");
    start("pattern bars size=320x240 fps=30 -> window");
    wait_for(320, 240, 10, 10, 0xbfbfbfff);
    CHECK_INT(far_from(320, 300, 10, 0x0000bfff), <=, 4);
    CHECK_INT(far_from(320, 10, 170, 0x0000bfff), <=, 4); // the reversed bars are below
    CHECK_INT(far_from(320, 70, 230, 0xffffffff), <=, 4);
    ph_graph_set(live.graph, 1, "pattern", "kind", "solid", NULL);
    ph_graph_set(live.graph, 2, "pattern", "color", "#336699", NULL);
    wait_for(320, 240, 160, 120, 0x336699ff);
    CHECK_INT(far_from(320, 0, 0, 0x336699ff), <=, 4);
    CHECK_INT(far_from(320, 319, 239, 0x336699ff), <=, 4);
    ph_graph_destroy(&live.graph);
}

TEST(another_size_keeps_its_shape_between_black_bars)
{
    need_display("320x240x24");
    start("pattern solid color=red size=320x240 fps=30 -> window");
    wait_for(320, 240, 5, 120, 0xff0000ff);
    ph_graph_set(live.graph, 1, "pattern", "size", "101x51", NULL);
    wait_for(320, 240, 160, 5, 0x000000ff);
    CHECK_INT(far_from(320, 160, 120, 0xff0000ff), <=, 4);
    CHECK_INT(far_from(320, 2, 120, 0xff0000ff), <=, 4);
    CHECK_INT(far_from(320, 160, 235, 0x000000ff), <=, 4);
    ph_graph_destroy(&live.graph);
}

TEST(closing_the_window_takes_it_away_and_stopping_takes_no_time)
{
    need_display("320x240x24");
    start("pattern solid color=lime size=64x48 fps=30 -> window");
    wait_for(320, 240, 160, 120, 0x00ff00ff);
    SDL_Event quit = { .type = SDL_QUIT };
    SDL_PushEvent(&quit);
    wait_for(320, 240, 160, 120, 0x000000ff);
    int64_t before = ph_now_ns();
    ph_graph_destroy(&live.graph);
    CHECK_INT(ph_now_ns() - before, <, PH_SECOND_NS * TEST_SLOW);
}

TEST(a_second_window_says_so_and_throws_pictures_away)
{
    need_display("320x240x24");
    start("p: pattern solid color=lime size=64x48 fps=30 -> window\np -> other: window");
    wait_for(320, 240, 160, 120, 0x00ff00ff);
    wait_for_problem("one window");
    ph_graph_destroy(&live.graph);
}

static char logged[1024];

static void take_line(void *opaque, enum ph_log_level level, const char *who, const char *line)
{
    pthread_mutex_lock(&run_lock);
    size_t at = strlen(logged);
    if (level <= PH_LOG_WARN) snprintf(logged + at, sizeof logged - at, "%s: %s\n", who, line);
    pthread_mutex_unlock(&run_lock);
}

static bool has_logged(const char *part)
{
    pthread_mutex_lock(&run_lock);
    bool has = strstr(logged, part) != NULL;
    pthread_mutex_unlock(&run_lock);
    return has;
}

TEST(without_a_display_it_is_skipped_with_a_word_and_the_graph_goes_on)
{
    struct ph_log log = { .level = PH_LOG_INFO, .write = take_line };
    live.par.log = &log;
    unsetenv("DISPLAY");
    unsetenv("WAYLAND_DISPLAY");
    unsetenv("SDL_VIDEODRIVER");
    start("p: pattern size=64x48 fps=100 -> window\np -> null");
    while (!has_logged("no display")) usleep(30000);
    CHECK_HAS(logged, "window: skipped: there is no display");
    struct ph_graph_rates before, after;
    ph_graph_get_rates(live.graph, &before);
    after = before;
    while (after.output < before.output + 10) {
        usleep(30000);
        ph_graph_get_rates(live.graph, &after);
    }
    ph_graph_destroy(&live.graph);
    CHECK_INT(live.problems, ==, 0);                // a machine like that is no trouble
    CHECK(!strchr(strchr(logged, '\n') + 1, '\n')); // said once
}
#else
TEST(without_sdl_the_package_is_named)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(run_try(&live, "pattern -> window", &fault), ==, PH_ENOTSUP);
    CHECK_HAS(fault.message, "libsdl2-dev");
}
#endif
