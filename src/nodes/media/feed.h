// SPDX-License-Identifier: MIT
// A live input on a thread of its own: connects, decodes the newest, pushes it into the node's
// external ports, says how it is doing through ph_node_problem, and connects again when it is lost.
// A film on a web server is played at its own pace and then is over; anything else that ends is lost.
// While nobody wants the node's frames it keeps the connection and decodes nothing.
#ifndef PH_NODES_MEDIA_FEED_H
#define PH_NODES_MEDIA_FEED_H

#include "nodes/media/input.h"

#include <phosphene/node.h>

// Input ports of a node that has a feed; the outputs of the same numbers get what comes.
enum { PH_FEED_PICTURES = 0, PH_FEED_SOUND = 1 };

struct ph_feed_params {
    struct ph_node *node;         // borrowed until ph_feed_destroy
    struct ph_input_params input; // texts are copied; cancelled, log and who are the feed's own
    bool sound;                   // the node has a port for sound
    bool no_pictures;             // it has that alone, as port 0
    bool realtime; // the input has no pace of its own: frames come when their pts says so
    bool fast;     // never paced
    bool loop;     // an input that has an end (a film on a web server) starts again there
    // Says in `text` why it cannot be opened, in better words than the input's; may be NULL.
    // thread: the feed's
    void (*explain)(const char *url, ph_err err, char *text, size_t size);
    // Asked once a second: false = it is gone, though it still gives frames; may be NULL.
    bool (*is_alive)(const char *url); // thread: the feed's
};

struct ph_feed;

// Copies par, never waits. In a replay it connects to nothing.                      thread: ctl
ph_err ph_feed_create(struct ph_feed **out, const struct ph_feed_params *par,
                      struct ph_fault *fault);
// Returns within half a second, also when the thread hangs in a driver or a name server: it then
// ends by itself later and does not touch the node again.                           thread: ctl
void ph_feed_destroy(struct ph_feed **feed);
// Passes on what has been pushed: pictures to output 0, sound to output 1 while it is linked. For
// process() of the node; answers as ph_node_read does.                             thread: lane
ph_err ph_feed_pass(struct ph_feed *feed, struct ph_node *n);

#endif
