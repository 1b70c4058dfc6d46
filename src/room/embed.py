#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes files as C tables, so that one binary has all it needs.

embed.py web OUT.c OUT.d FOLDER [/PATH=FILE...]     ph_web_resources: gzip'ed, with an ETag each
embed.py presets OUT.c OUT.d FOLDER                 ph_presets_embedded: name, title, text
"""
import gzip
import hashlib
import os
import sys

TYPES = {
    '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
    '.mjs': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8',
    '.svg': 'image/svg+xml', '.png': 'image/png', '.ico': 'image/x-icon', '.jpg': 'image/jpeg',
    '.woff2': 'font/woff2', '.json': 'application/json', '.webmanifest': 'application/manifest+json',
}


def c_bytes(data):
    rows = []
    for i in range(0, len(data), 24):
        rows.append(','.join(str(b) for b in data[i:i + 24]) + ',')
    return '\n'.join(rows)


def c_string(text):
    out = []
    for line in text.splitlines(keepends=True):
        escaped = ''.join(
            {'\\': '\\\\', '"': '\\"', '\n': '\\n', '\t': '\\t', '?': '\\?'}.get(c, c) for c in line)
        out.append('"%s"' % escaped)
    return '\n    '.join(out) or '""'


def walk(folder):
    """Files, and the folders themselves: a new file changes its folder."""
    files, folders = [], []
    for root, names, leaves in os.walk(folder):
        names[:] = sorted(n for n in names if not n.startswith('.'))
        folders.append(root)
        files += [os.path.join(root, leaf) for leaf in sorted(leaves) if not leaf.startswith('.')]
    return files, folders


def web(folder, extra):
    files, seen = walk(folder)
    entries = [('/' + os.path.relpath(f, folder).replace(os.sep, '/'), f) for f in files]
    entries += [tuple(e.split('=', 1)) for e in extra]
    arrays, rows = [], []
    for path, file in sorted(entries):
        kind = TYPES.get(os.path.splitext(file)[1])
        if not kind:
            continue
        with open(file, 'rb') as f:
            data = f.read()
        packed = gzip.compress(data, 9, mtime=0)
        name = 'gz_%d' % len(arrays)
        etag = '\\"%s\\"' % hashlib.sha256(data).hexdigest()[:20]
        arrays.append('static const unsigned char %s[] = {\n%s\n};' % (name, c_bytes(packed)))
        for at in ['/', path] if path == '/index.html' else [path]:
            rows.append('    { .path = "%s", .type = "%s", .gz = %s, .gz_size = sizeof %s, .etag = "%s" },'
                        % (at, kind, name, name, etag))
    text = '\n'.join(['#include "room/web.h"', ''] + arrays + [
        'const struct ph_resource ph_web_resources[] = {'] + rows + ['    { 0 }', '};', ''])
    return text, [f for _, f in entries] + seen


def presets(folder):
    files, seen = walk(folder)
    files = [f for f in files if f.endswith('.graph')]
    rows = []
    for file in files:
        with open(file, encoding='utf-8') as f:
            text = f.read()
        title = next((l[len('# title:'):].strip() for l in text.splitlines()
                      if l.startswith('# title:')), '')
        if not title:
            sys.exit('%s: no line "# title: ..."' % file)
        name = os.path.splitext(os.path.basename(file))[0]
        rows.append('    { "%s", %s,\n    %s },' % (name, c_string(title), c_string(text)))
    text = '\n'.join(['#include <phosphene/room.h>', '', '#include "room/presets.h"', '',
                      'const struct ph_preset ph_presets_embedded[] = {'] + rows +
                     ['    { 0 }', '};', ''])
    return text, files + seen


def main():
    what, out, depfile, folder = sys.argv[1:5]
    text, inputs = web(folder, sys.argv[5:]) if what == 'web' else presets(folder)
    with open(out, 'w', encoding='utf-8') as f:
        f.write(text)
    with open(depfile, 'w', encoding='utf-8') as f:
        f.write('%s: %s\n' % (out, ' '.join(i.replace(' ', '\\ ') for i in inputs)))


main()
