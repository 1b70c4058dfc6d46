// SPDX-License-Identifier: MIT
#include "nodes/deliver/gl_screen.h"

#include "config.h"

#if PH_HAVE_SDL
#define SDL_MAIN_HANDLED
#include <SDL.h>
#include <SDL_opengl.h>

#include <stdlib.h>
#include <string.h>

// The few functions that are used, fetched at run time: no link to a GL library, so a build runs
// on machines without one.
#define GL_FUNCTIONS(X)                                                                        \
    X(void, glBindTexture, (GLenum, GLuint))                                                   \
    X(void, glGenTextures, (GLsizei, GLuint *) )                                               \
    X(void, glDeleteTextures, (GLsizei, const GLuint *) )                                      \
    X(void, glTexParameteri, (GLenum, GLenum, GLint))                                          \
    X(void, glTexImage2D,                                                                      \
      (GLenum, GLint, GLint, GLsizei, GLsizei, GLint, GLenum, GLenum, const void *) )          \
    X(void, glTexSubImage2D,                                                                   \
      (GLenum, GLint, GLint, GLint, GLsizei, GLsizei, GLenum, GLenum, const void *) )          \
    X(void, glEnable, (GLenum))                                                                \
    X(void, glViewport, (GLint, GLint, GLsizei, GLsizei))                                      \
    X(void, glClear, (GLbitfield))                                                             \
    X(void, glBegin, (GLenum))                                                                 \
    X(void, glEnd, (void) )                                                                    \
    X(void, glTexCoord2f, (GLfloat, GLfloat))                                                  \
    X(void, glVertex2f, (GLfloat, GLfloat))                                                    \
    X(GLenum, glGetError, (void) )                                                             \
    X(void, glGenBuffers, (GLsizei, GLuint *) )                                                \
    X(void, glDeleteBuffers, (GLsizei, const GLuint *) )                                       \
    X(void, glBindBuffer, (GLenum, GLuint))                                                    \
    X(void, glBufferData, (GLenum, GLsizeiptr, const void *, GLenum))                          \
    X(void *, glMapBuffer, (GLenum, GLenum))                                                   \
    X(GLboolean, glUnmapBuffer, (GLenum))

struct gl {
#define X(result, name, args) result(APIENTRY *name) args;
    GL_FUNCTIONS(X)
#undef X
};

struct ph_gl_screen {
    SDL_Window *window;
    SDL_GLContext context;
    struct gl gl;
    GLuint texture, buffers[2];
    int width, height; // of the texture
    int turn;          // which buffer is next
    bool started, closed;
};

static ph_err load_functions(struct gl *gl, struct ph_fault *fault)
{
#define X(result, name, args)                                                                  \
    gl->name = (result(APIENTRY *) args) SDL_GL_GetProcAddress(#name);                         \
    if (!gl->name) return ph_fail(fault, PH_EDEVICE, "window", "OpenGL lacks %s", #name);
    GL_FUNCTIONS(X)
#undef X
    return PH_OK;
}

// SDL's last resorts, which draw into memory: fine when asked for by SDL_VIDEODRIVER.
static bool nobody_sees_it(void)
{
    const char *driver = SDL_GetCurrentVideoDriver();
    if (getenv("SDL_VIDEODRIVER")) return false;
    return !strcmp(driver, "offscreen") || !strcmp(driver, "dummy");
}

static ph_err open_window(struct ph_gl_screen *s, const char *title, int width, int height,
                          bool fullscreen, struct ph_fault *fault)
{
    SDL_SetMainReady();
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1"); // SIGTERM is the program's
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "0");
    s->started = SDL_InitSubSystem(SDL_INIT_VIDEO) == 0;
    if (!s->started || nobody_sees_it())
        return ph_fail(fault, PH_ENOTSUP, "window",
                       "there is no display to open a window on (%s); DISPLAY or "
                       "WAYLAND_DISPLAY names one",
                       s->started ? SDL_GetCurrentVideoDriver() : SDL_GetError());
    Uint32 flags = SDL_WINDOW_OPENGL | SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI;
    if (fullscreen) flags |= SDL_WINDOW_FULLSCREEN_DESKTOP;
    s->window = SDL_CreateWindow(title, SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, width,
                                 height, flags);
    if (s->window) s->context = SDL_GL_CreateContext(s->window);
    if (s->context) return PH_OK;
    return ph_fail(fault, PH_EDEVICE, "window", "no window with OpenGL: %s", SDL_GetError());
}

static void make_texture(struct ph_gl_screen *s)
{
    struct gl *gl = &s->gl;
    gl->glGenBuffers(2, s->buffers);
    gl->glGenTextures(1, &s->texture);
    gl->glBindTexture(GL_TEXTURE_2D, s->texture);
    gl->glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
    gl->glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_LINEAR);
    gl->glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
    gl->glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
    gl->glEnable(GL_TEXTURE_2D);
}

ph_err ph_gl_screen_open(struct ph_gl_screen **out, const char *title, int width, int height,
                         bool fullscreen, bool vsync, struct ph_fault *fault)
{
    struct ph_gl_screen *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s) return ph_fail(fault, PH_ENOMEM, "window", "out of memory");
    ph_err ret = open_window(s, title, width, height, fullscreen, fault);
    if (ret == PH_OK) ret = load_functions(&s->gl, fault);
    if (ret < 0) {
        ph_gl_screen_close(&s);
        return ret;
    }
    SDL_GL_SetSwapInterval(vsync ? 1 : 0); // refused by some drivers: then without
    make_texture(s);
    *out = s;
    return PH_OK;
}

void ph_gl_screen_close(struct ph_gl_screen **out)
{
    struct ph_gl_screen *s = *out;
    *out = NULL;
    if (!s) return;
    if (s->texture) {
        s->gl.glDeleteTextures(1, &s->texture);
        s->gl.glDeleteBuffers(2, s->buffers);
    }
    if (s->context) SDL_GL_DeleteContext(s->context);
    if (s->window) SDL_DestroyWindow(s->window);
    if (s->started) SDL_QuitSubSystem(SDL_INIT_VIDEO);
    free(s);
}

static ph_err upload(struct ph_gl_screen *s, const struct ph_picture *pic,
                     struct ph_fault *fault)
{
    struct gl *gl = &s->gl;
    size_t row = (size_t) pic->width * 4, size = row * (size_t) pic->height;
    gl->glBindBuffer(GL_PIXEL_UNPACK_BUFFER, s->buffers[s->turn]);
    s->turn = !s->turn;
    gl->glBufferData(GL_PIXEL_UNPACK_BUFFER, (GLsizeiptr) size, NULL, GL_STREAM_DRAW);
    uint8_t *to = gl->glMapBuffer(GL_PIXEL_UNPACK_BUFFER, GL_WRITE_ONLY);
    if (!to) return ph_fail(fault, PH_EDEVICE, "window", "OpenGL gives no pixel buffer");
    for (int y = 0; y < pic->height; y++)
        memcpy(to + (size_t) y * row, pic->data[0] + y * pic->stride[0], row);
    gl->glUnmapBuffer(GL_PIXEL_UNPACK_BUFFER);
    if (s->width != pic->width || s->height != pic->height)
        gl->glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, pic->width, pic->height, 0, GL_RGBA,
                         GL_UNSIGNED_BYTE, NULL);
    else
        gl->glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, pic->width, pic->height, GL_RGBA,
                            GL_UNSIGNED_BYTE, NULL);
    s->width = pic->width;
    s->height = pic->height;
    gl->glBindBuffer(GL_PIXEL_UNPACK_BUFFER, 0);
    return PH_OK;
}

// The whole picture in its shape, as large as the window allows
static void set_viewport(struct ph_gl_screen *s)
{
    int w, h;
    SDL_GL_GetDrawableSize(s->window, &w, &h);
    int64_t across = (int64_t) h * s->width, down = (int64_t) w * s->height;
    int vw = across < down ? (int) (across / s->height) : w;
    int vh = across < down ? h : (int) (down / s->width);
    s->gl.glViewport((w - vw) / 2, (h - vh) / 2, vw, vh);
}

static void draw(struct ph_gl_screen *s)
{
    static const float corner[4][2] = { { 0, 0 }, { 1, 0 }, { 1, 1 }, { 0, 1 } };
    struct gl *gl = &s->gl;
    set_viewport(s);
    gl->glClear(GL_COLOR_BUFFER_BIT);
    gl->glBegin(GL_QUADS);
    for (int i = 0; i < 4; i++) {
        gl->glTexCoord2f(corner[i][0], corner[i][1]);
        gl->glVertex2f(2 * corner[i][0] - 1, 1 - 2 * corner[i][1]);
    }
    gl->glEnd();
    SDL_GL_SwapWindow(s->window);
}

ph_err ph_gl_screen_show(struct ph_gl_screen *s, const struct ph_picture *pic,
                         struct ph_fault *fault)
{
    ph_err ret = upload(s, pic, fault);
    if (ret == PH_OK) draw(s);
    GLenum error = s->gl.glGetError();
    if (ret == PH_OK && error)
        ret = ph_fail(fault, PH_EDEVICE, "window", "OpenGL error 0x%x", error);
    return ret;
}

static void on_key(struct ph_gl_screen *s, SDL_Keycode key)
{
    if (key == SDLK_ESCAPE || key == SDLK_q) s->closed = true;
    if (key != SDLK_f) return;
    bool full = SDL_GetWindowFlags(s->window) & SDL_WINDOW_FULLSCREEN_DESKTOP;
    SDL_SetWindowFullscreen(s->window, full ? 0 : SDL_WINDOW_FULLSCREEN_DESKTOP);
}

bool ph_gl_screen_closed(struct ph_gl_screen *s)
{
    SDL_Event e;
    while (SDL_PollEvent(&e)) {
        if (e.type == SDL_QUIT) s->closed = true;
        if (e.type == SDL_KEYDOWN) on_key(s, e.key.keysym.sym);
        if (e.type == SDL_WINDOWEVENT && e.window.event == SDL_WINDOWEVENT_EXPOSED && s->width)
            draw(s);
    }
    return s->closed;
}

#endif
