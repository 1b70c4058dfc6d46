// SPDX-License-Identifier: MIT
// One window with an OpenGL texture in it. All functions on one and the same thread; one window a
// process at a time (SDL's event queue is one).
#ifndef PH_NODES_GL_SCREEN_H
#define PH_NODES_GL_SCREEN_H

#include <phosphene/frame.h>

struct ph_gl_screen;

// PH_EDEVICE: no display, or none with OpenGL; the fault says so.
ph_err ph_gl_screen_open(struct ph_gl_screen **out, const char *title, int width, int height,
                         bool fullscreen, bool vsync, struct ph_fault *fault);
void ph_gl_screen_close(struct ph_gl_screen **s);
// Uploads an RGBA picture and shows it in its shape, black around it. With vsync this waits for
// the display. The copy goes through one of two pixel-buffer objects in turn, so that a picture
// is copied while the driver still sends the one before.
ph_err ph_gl_screen_show(struct ph_gl_screen *s, const struct ph_picture *pic,
                         struct ph_fault *fault);
// Looks at the events; true once the window was closed (q, Escape, its close button).
bool ph_gl_screen_closed(struct ph_gl_screen *s);

#endif
