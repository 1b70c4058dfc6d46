// SPDX-License-Identifier: MIT
#include "image/pose.h"

#include "core/number.h"

#include <math.h>
#include <string.h>

static const struct ph_pose none = { { 1, 0, 0, 0, 1, 0, 0, 0, 1 }, { 0, 0, 0 } };

struct ph_pose ph_pose_none(void)
{
    return none;
}

static void turn(double out[3], const double r[9], const double p[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = r[3 * i] * p[0] + r[3 * i + 1] * p[1] + r[3 * i + 2] * p[2];
}

static void multiply(double out[9], const double a[9], const double b[9])
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            out[3 * i + j] =
                a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
}

struct ph_pose ph_pose_inverse(const struct ph_pose *p)
{
    struct ph_pose out;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) out.r[3 * i + j] = p->r[3 * j + i];
    turn(out.t, out.r, p->t);
    for (int i = 0; i < 3; i++) out.t[i] = -out.t[i];
    return out;
}

struct ph_pose ph_pose_after(const struct ph_pose *a, const struct ph_pose *b)
{
    struct ph_pose out;
    multiply(out.r, a->r, b->r);
    turn(out.t, a->r, b->t);
    for (int i = 0; i < 3; i++) out.t[i] += a->t[i];
    return out;
}

void ph_pose_turn(double r[9], const double w[3])
{
    double angle = sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]);
    double a = angle > 1e-12 ? sin(angle) / angle : 1;
    double b = angle > 1e-6 ? (1 - cos(angle)) / (angle * angle) : 0.5;
    const double k[9] = { 0, -w[2], w[1], w[2], 0, -w[0], -w[1], w[0], 0 };
    double kk[9];
    multiply(kk, k, k);
    for (int i = 0; i < 9; i++) r[i] = none.r[i] + a * k[i] + b * kk[i];
}

// Near half a turn the axis is in the symmetric part: the row of r + 1 that is longest.
static void vector_of_half_turn(double w[3], const double r[9], double angle)
{
    int best = 0;
    for (int i = 1; i < 3; i++)
        if (r[4 * i] > r[4 * best]) best = i;
    double axis[3], length = 0;
    for (int i = 0; i < 3; i++) {
        axis[i] = r[3 * best + i] + r[3 * i + best] + (i == best ? 2 : 0);
        length += axis[i] * axis[i];
    }
    double away = (r[7] - r[5]) * axis[0] + (r[2] - r[6]) * axis[1] + (r[3] - r[1]) * axis[2];
    for (int i = 0; i < 3; i++) w[i] = axis[i] / sqrt(length) * (away < 0 ? -angle : angle);
}

void ph_pose_vector(double w[3], const double r[9])
{
    const double v[3] = { r[7] - r[5], r[2] - r[6], r[3] - r[1] };
    double twice = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    double angle = atan2(twice, r[0] + r[4] + r[8] - 1);
    if (angle > 3.1) {
        vector_of_half_turn(w, r, angle);
        return;
    }
    for (int i = 0; i < 3; i++) w[i] = twice > 1e-12 ? v[i] / twice * angle : v[i] / 2;
}

ph_err ph_pose_parse(struct ph_pose *p, const char *text)
{
    double v[6];
    char *end;
    *p = none;
    text += strspn(text, " ,");
    if (!*text) return PH_OK;
    for (int i = 0; i < 6; i++, text = end) {
        text += strspn(text, " ,");
        v[i] = ph_strtod(text, &end);
        if (end == text || !(fabs(v[i]) < 1e6)) return PH_EINVAL;
    }
    if (text[strspn(text, " ,")]) return PH_EINVAL;
    memcpy(p->t, v, sizeof p->t);
    for (int i = 3; i < 6; i++) v[i] *= M_PI / 180;
    ph_pose_turn(p->r, v + 3);
    return PH_OK;
}

void ph_pose_print(const struct ph_pose *p, char text[PH_POSE_TEXT])
{
    double w[3];
    ph_pose_vector(w, p->r);
    ph_snprintf(text, PH_POSE_TEXT, "%.9g %.9g %.9g %.9g %.9g %.9g", p->t[0], p->t[1], p->t[2],
                w[0] * 180 / M_PI, w[1] * 180 / M_PI, w[2] * 180 / M_PI);
}

void ph_pose_rows(const struct ph_pose *p, float m[12])
{
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) m[4 * i + j] = (float) p->r[3 * i + j];
        m[4 * i + 3] = (float) p->t[i];
    }
}

// --- small systems of equations

enum { UNKNOWNS = 8 };

// a x = b by Gauss with pivots; a and b are used up.
static bool solve(double a[UNKNOWNS][UNKNOWNS], double b[UNKNOWNS], int n)
{
    for (int c = 0; c < n; c++) {
        int best = c;
        for (int r = c + 1; r < n; r++)
            if (fabs(a[r][c]) > fabs(a[best][c])) best = r;
        if (!(fabs(a[best][c]) > 1e-14)) return false;
        for (int k = 0; k < n && best != c; k++) {
            double swap = a[c][k];
            a[c][k] = a[best][k];
            a[best][k] = swap;
        }
        double swap = b[c];
        b[c] = b[best];
        b[best] = swap;
        for (int r = 0; r < n; r++) {
            double f = r == c ? 0 : a[r][c] / a[c][c];
            for (int k = c; k < n && f != 0; k++) a[r][k] -= f * a[c][k];
            b[r] -= f * b[c];
        }
    }
    for (int c = 0; c < n; c++) b[c] /= a[c][c];
    return true;
}

static void add_row(double a[UNKNOWNS][UNKNOWNS], double b[UNKNOWNS], const double *row,
                    double want, int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) a[i][j] += row[i] * row[j];
        b[i] += row[i] * want;
    }
}

// --- the homography

struct norm { // x -> (x - middle) * scale
    double x, y, scale;
};

static struct norm norm_of(const double (*p)[2], int n)
{
    struct norm m = { 0 };
    double far = 0;
    for (int i = 0; i < n; i++) {
        m.x += p[i][0] / n;
        m.y += p[i][1] / n;
    }
    for (int i = 0; i < n; i++) far += hypot(p[i][0] - m.x, p[i][1] - m.y) / n;
    m.scale = far > 0 ? M_SQRT2 / far : 1;
    return m;
}

// h: rows; board (x, y, 1) -> seen, both normalised.
static bool homography(double h[9], const double (*board)[2], const double (*seen)[2], int n,
                       struct norm from, struct norm to)
{
    double a[UNKNOWNS][UNKNOWNS] = { { 0 } }, b[UNKNOWNS] = { 0 };
    for (int i = 0; i < n; i++) {
        double x = (board[i][0] - from.x) * from.scale, y = (board[i][1] - from.y) * from.scale;
        double u = (seen[i][0] - to.x) * to.scale, v = (seen[i][1] - to.y) * to.scale;
        const double first[] = { x, y, 1, 0, 0, 0, -u * x, -u * y };
        const double second[] = { 0, 0, 0, x, y, 1, -v * x, -v * y };
        add_row(a, b, first, u, UNKNOWNS);
        add_row(a, b, second, v, UNKNOWNS);
    }
    if (!solve(a, b, UNKNOWNS)) return false;
    memcpy(h, b, sizeof b);
    h[8] = 1;
    return true;
}

static double length(const double v[3])
{
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

static void cross(double out[3], const double a[3], const double b[3])
{
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, k = (i + 2) % 3;
        out[i] = a[j] * b[k] - a[k] * b[j];
    }
}

// The first two columns of a rotation from two that are nearly so: the same correction to both.
static bool pose_of_columns(struct ph_pose *p, double x[3], double y[3], const double t[3])
{
    double z[3], scale = 2 / (length(x) + length(y));
    if (!(scale < 1e9)) return false;
    if (t[2] < 0) scale = -scale; // the board is before the camera
    for (int i = 0; i < 3; i++) {
        x[i] *= scale;
        y[i] *= scale;
        p->t[i] = t[i] * scale;
    }
    double error = (x[0] * y[0] + x[1] * y[1] + x[2] * y[2]) / 2, a[3], b[3];
    for (int i = 0; i < 3; i++) {
        a[i] = x[i] - error * y[i];
        b[i] = y[i] - error * x[i];
    }
    double la = length(a);
    for (int i = 0; i < 3; i++) a[i] /= la;
    double along = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    for (int i = 0; i < 3; i++) b[i] -= along * a[i];
    double lb = length(b);
    for (int i = 0; i < 3; i++) b[i] /= lb;
    cross(z, a, b);
    for (int i = 0; i < 3; i++) {
        p->r[3 * i] = a[i];
        p->r[3 * i + 1] = b[i];
        p->r[3 * i + 2] = z[i];
    }
    return la > 1e-6 && lb > 1e-6;
}

static bool first_pose(struct ph_pose *p, const double (*board)[2], const double (*seen)[2],
                       int n, const struct ph_intrinsics *k)
{
    struct norm from = norm_of(board, n), to = norm_of(seen, n);
    double h[9], columns[3][3];
    if (!homography(h, board, seen, n, from, to)) return false;
    for (int c = 0; c < 3; c++) {
        // undo the norm of the board
        double v[3];
        for (int i = 0; i < 3; i++)
            v[i] =
                c < 2 ? h[3 * i + c] * from.scale
                      : h[3 * i + 2] - from.scale * (h[3 * i] * from.x + h[3 * i + 1] * from.y);
        // that of the picture, and the lens
        double w = v[2], u0 = v[0] / to.scale + to.x * w, v0 = v[1] / to.scale + to.y * w;
        columns[c][0] = (u0 - (double) k->cx * w) / (double) k->fx;
        columns[c][1] = (v0 - (double) k->cy * w) / (double) k->fy;
        columns[c][2] = w;
    }
    return pose_of_columns(p, columns[0], columns[1], columns[2]);
}

// --- least squares

// Squared error of all points; with a and b also the normal equations of a small move: first the
// turn, then the shift.
static double errors(const struct ph_pose *p, const double (*board)[2], const double (*seen)[2],
                     int n, const struct ph_intrinsics *k, double a[UNKNOWNS][UNKNOWNS],
                     double b[UNKNOWNS])
{
    double sum = 0, fx = (double) k->fx, fy = (double) k->fy;
    for (int i = 0; i < n; i++) {
        const double at[3] = { board[i][0], board[i][1], 0 };
        double q[3], c[3];
        turn(q, p->r, at);
        for (int j = 0; j < 3; j++) c[j] = q[j] + p->t[j];
        if (!(c[2] > 1e-9)) return INFINITY;
        double du = seen[i][0] - (fx * c[0] / c[2] + (double) k->cx);
        double dv = seen[i][1] - (fy * c[1] / c[2] + (double) k->cy);
        sum += du * du + dv * dv;
        if (!a) continue;
        const double u[3] = { fx / c[2], 0, -fx * c[0] / (c[2] * c[2]) };
        const double v[3] = { 0, fy / c[2], -fy * c[1] / (c[2] * c[2]) };
        double ru[6], rv[6];
        cross(ru, q, u); // d(w x q)/dw, seen along u
        cross(rv, q, v);
        memcpy(ru + 3, u, sizeof u);
        memcpy(rv + 3, v, sizeof v);
        add_row(a, b, ru, du, 6);
        add_row(a, b, rv, dv, 6);
    }
    return sum;
}

static struct ph_pose moved(const struct ph_pose *p, const double step[6])
{
    struct ph_pose out;
    double r[9];
    ph_pose_turn(r, step);
    multiply(out.r, r, p->r);
    for (int i = 0; i < 3; i++) out.t[i] = p->t[i] + step[3 + i];
    return out;
}

enum { ROUNDS = 60 };

ph_err ph_pose_of_board(struct ph_pose *out, double *rms_px, const double (*board)[2],
                        const double (*seen)[2], int n, const struct ph_intrinsics *k)
{
    struct ph_pose p;
    double damp = 1e-3;
    if (n < 4 || !(k->fx > 0) || !(k->fy > 0) || !first_pose(&p, board, seen, n, k))
        return PH_EINVAL;
    double error = errors(&p, board, seen, n, k, NULL, NULL);
    for (int round = 0; round < ROUNDS && damp < 1e9; round++) {
        double a[UNKNOWNS][UNKNOWNS] = { { 0 } }, b[UNKNOWNS] = { 0 };
        errors(&p, board, seen, n, k, a, b);
        for (int i = 0; i < 6; i++) a[i][i] *= 1 + damp;
        if (!solve(a, b, 6)) return PH_EINVAL;
        struct ph_pose next = moved(&p, b);
        double then = errors(&next, board, seen, n, k, NULL, NULL);
        damp *= then < error ? 0.1 : 10;
        if (!(then < error)) continue;
        p = next;
        error = then;
    }
    if (!(error < INFINITY)) return PH_EINVAL;
    *out = p;
    *rms_px = sqrt(error / n);
    return PH_OK;
}
