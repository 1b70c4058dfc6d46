// SPDX-License-Identifier: MIT
// Where a camera stands, and finding it out from a board that it sees. Axes of computer vision: x
// right, y down, z forward, right-handed. Plain functions of their arguments.     thread of all: any
#ifndef PH_IMAGE_POSE_H
#define PH_IMAGE_POSE_H

#include <phosphene/frame.h>

struct ph_pose { // what it moves: p -> r p + t
    double r[9]; // rows
    double t[3]; // metres
};

struct ph_pose ph_pose_none(void);
struct ph_pose ph_pose_inverse(const struct ph_pose *p);
struct ph_pose ph_pose_after(const struct ph_pose *a,
                             const struct ph_pose *b); // first b, then a
// Rodrigues: a rotation of |w| radians about w.
void ph_pose_turn(double r[9], const double w[3]);
void ph_pose_vector(double w[3], const double r[9]);

// "x y z rx ry rz": metres, and a rotation vector in degrees. An empty text is no move.
// PH_EINVAL: anything else.
ph_err ph_pose_parse(struct ph_pose *p, const char *text);
#define PH_POSE_TEXT 128
void ph_pose_print(const struct ph_pose *p, char text[PH_POSE_TEXT]);
// As ph_cloud_move takes it.
void ph_pose_rows(const struct ph_pose *p, float m[12]);

// The pose of a flat board, board to camera, from where a camera with that lens sees its points
// (pixels; the middle of pixel (u, v) is at (u + 1/2, v + 1/2)). board: x, y in metres, z = 0.
// First the homography (Hartley, Zisserman, Multiple View Geometry, 4.1 and 4.4.4: normalised direct
// linear transform) and the pose in it (Zhang, A Flexible New Technique for Camera Calibration,
// 2000, 3.1 and appendix C), then least squares of the error in pixels (Levenberg, Marquardt).
// rms_px: what is left. PH_EINVAL: fewer than 4 points, or they do not tell a pose.
ph_err ph_pose_of_board(struct ph_pose *out, double *rms_px, const double (*board)[2],
                        const double (*seen)[2], int count, const struct ph_intrinsics *lens);

#endif
