// SPDX-License-Identifier: MIT
// An RTSP server for tests: rtsp_server PORT serves a test picture at /cam until it is killed.
// rtsp_server check: exit status 0 when it could.
#include <gst/rtsp-server/rtsp-server.h>

#include <string.h>

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    if (argc < 2) return 2;
    static const char *const needed[] = { "videotestsrc", "vp8enc", "rtpvp8pay" };
    for (int i = 0; i < 3; i++) {
        GstElementFactory *f = gst_element_factory_find(needed[i]);
        if (!f) return 77;
        gst_object_unref(f);
    }
    if (!strcmp(argv[1], "check")) return 0;
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    GstRTSPServer *server = gst_rtsp_server_new();
    GstRTSPMediaFactory *factory = gst_rtsp_media_factory_new();
    gst_rtsp_server_set_address(server, "127.0.0.1");
    gst_rtsp_server_set_service(server, argv[1]);
    gst_rtsp_media_factory_set_launch(
        factory,
        "( videotestsrc is-live=true pattern=white ! "
        "video/x-raw,width=320,height=240,framerate=30/1 ! "
        "vp8enc deadline=1 cpu-used=8 keyframe-max-dist=30 ! rtpvp8pay name=pay0 pt=96 )");
    gst_rtsp_media_factory_set_shared(factory, TRUE);
    gst_rtsp_mount_points_add_factory(gst_rtsp_server_get_mount_points(server), "/cam",
                                      factory);
    if (!gst_rtsp_server_attach(server, NULL)) return 1;
    g_print("ready\n");
    g_main_loop_run(loop);
    return 0;
}
