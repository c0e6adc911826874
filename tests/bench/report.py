#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""report.py OUT.json...: tables of medians (min-max) and ratios from run.sh's JSON lines.

A ratio is the median over the rounds of (this peer / reference peer in the same
round), so that noise which hits neighbouring measurements alike cancels.
The references are ssh -L (column x-ssh), the least that could do the same (x-ceiling: ceiling.c) and a direct TCP connection (x-direct).

After bulk: CPU of each process, for that it may be held against the ceiling's; and of each layer, if there was a profile.
"""
import json, sys
from collections import defaultdict
from statistics import median

REFERENCES = ['ssh', 'ceiling', 'direct', 'hypertele', 'npm']
rows, bad = [], 0
for f in sys.argv[1:]:
    for l in open(f):
        try:
            rows.append(json.loads(l))
            rows[-1]['round'] = (f, rows[-1]['round'])
        except ValueError:
            bad += 1
order = list(dict.fromkeys(r['peer'] for r in rows))


def num(x):
    if x is None:
        return '-'
    a = abs(x)
    return f'{x:.0f}' if a >= 100 else f'{x:.1f}' if a >= 10 else f'{x:.2f}' if a >= .1 or not a else f'{x:.2g}'


def span(v):
    v = [x for x in v if x is not None]
    if not v:
        return '-'
    return num(v[0]) if len(v) == 1 else f'{num(median(v))} ({num(min(v))}–{num(max(v))})'


def table(title, sel, cols, ratio=None, better='', note=''):
    """cols: (header, fn(row) -> value or None, 'span' | 'sum' | 'med'); ratio: fn(row)"""
    g = defaultdict(list)
    for r in rows:
        if sel(r):
            g[r['peer']].append(r)
    if not g:
        return
    print(f'\n### {title}\n')
    if note:
        print(note + '\n')
    references = [q for q in REFERENCES if q in order]
    hdr = ['peer'] + [c[0] for c in cols] + (['x-' + q for q in references] if ratio else [])
    print('| ' + ' | '.join(hdr) + ' |')
    print('|' + '---|' * len(hdr))
    ref = {p: {r['round']: ratio(r) for r in g.get(p, [])} for p in references} if ratio else {}
    for p in order:
        if p not in g:
            continue
        out = [p]
        for h, fn, how in cols:
            v = [fn(r) for r in g[p]]
            v = [x for x in v if x is not None]
            out.append(span(v) if how == 'span' else (num(median(v)) if v else '-') if how == 'med'
                       else str(sum(v)) if how == 'sum' else ' '.join(str(x) for x in v))
        if ratio:
            for q in references:
                k = [ratio(r) / ref[q][r['round']] for r in g[p] if ref[q].get(r['round']) and ratio(r) is not None]
                out.append(num(median(k)) if k else '-')
        print('| ' + ' | '.join(out) + ' |')


def get(k, s=1.0):
    return lambda r: r[k] * s if r.get(k) is not None else None


def cpugb(r):
    b = r.get('bytes_total', 0)
    return (r['cpu_user'] + r['cpu_sys']) / (b / 1e9) if b > 5e6 and 'cpu_user' in r else None


def processes(rows):
    """Of each peer's processes: CPU seconds a GB, user and system, medians."""
    found = defaultdict(list)
    for r in rows:
        for name, (user, system) in r.get('parts', {}).items():
            if r['bytes_total'] > 5e6:
                found[r['peer'], name].append((user / r['bytes_total'] * 1e9, system / r['bytes_total'] * 1e9))
    lines = [(p, name, median(u for u, _ in v), median(s for _, s in v)) for (p, name), v in found.items()]
    lines = [line for line in lines if line[2] + line[3] >= .02]
    if lines:
        print('\n| peer | process | user s/GB | system s/GB |\n|---|---|---|---|')
    for p in order:
        for line in lines:
            if line[0] == p:
                print(f'| {p} | {line[1]} | {num(line[2])} | {num(line[3])} |')


def layers(rows):
    """What the CPU of all processes of a peer went to: seconds a GB, medians, and the share."""
    found = defaultdict(list)
    for r in rows:
        for name, seconds in r.get('layers', {}).items():
            if r['bytes_total'] > 5e6:
                found[r['peer'], name].append(seconds / r['bytes_total'] * 1e9)
    for p in order:
        lines = sorted(((median(v), name) for (q, name), v in found.items() if q == p), reverse=True)
        whole = sum(seconds for seconds, _ in lines)
        if lines:
            print(f'\n| {p}: layer | s/GB | % |\n|---|---|---|')
        for seconds, name in lines:
            if seconds >= whole / 200:
                print(f'| {name} | {num(seconds)} | {num(100 * seconds / whole)} |')


def lat_ok(k):
    return lambda r: r[k] if r.get('samples') else None


sets = list(dict.fromkeys((r.get('set', ''), r.get('link', '')) for r in rows))
for S, L in sets:
    def here(r, S=S, L=L):
        return r.get('set', '') == S and r.get('link', '') == L
    if len(sets) > 1 or S or L:
        d = (L.split(':') + ['', '', ''])[:3]
        print(f'\n## {S or "loopback"}' + (f' — link: {d[0]} ms one way, {d[1]} % loss each way' + (f', {d[2]} Mbit/s' if d[2] else '') if L else ''))
    for d in ('up', 'up-gentle', 'down', 'both'):
        for n in sorted({r['n'] for r in rows if here(r) and r.get('mode') == 'bulk' and r['dir'] == d}):
            table(f'Bulk {d}, {n} connection{"s" if n > 1 else ""}{" each way" if d == "both" else ""}{", the client waits for the first acknowledgement" if "gentle" in d else ""} (MB/s delivered)',
                  lambda r: here(r) and r.get('mode') == 'bulk' and r['dir'] == d and r['n'] == n,
                  [('MB/s', get('MBps'), 'span'), ('CPU s/GB', cpugb, 'span'), ('slowest/fastest conn', get('fair'), 'med'),
                   ('died', get('died', 1), 'sum'), ('corrupt', get('corrupt', 1), 'sum')], get('MBps'))
            bulk = [r for r in rows if here(r) and r.get('mode') == 'bulk' and r['dir'] == d and r['n'] == n]
            processes(bulk)
            layers(bulk)
    for sz in sorted({r['size'] for r in rows if here(r) and r.get('mode') == 'lat' and not r['load']}):
        table(f'Latency, {sz}-byte ping-pong (µs)', lambda r: here(r) and r.get('mode') == 'lat' and not r['load'] and r['size'] == sz,
              [('p50', lat_ok('p50_us'), 'span'), ('p99', lat_ok('p99_us'), 'span'), ('p99.9', lat_ok('p999_us'), 'span'),
               ('err', get('err', 1), 'list')], lat_ok('p50_us'), note='Ratios are of p50; lower is better.')
    for dr, n in sorted({(r['loaddir'], r['load']) for r in rows if here(r) and r.get('test') == 'hol'}):
        table(f'1-byte ping-pong while {n} bulk {dr}load{"s run" if n > 1 else " runs"} (ms)',
              lambda r: here(r) and r.get('test') == 'hol' and r['load'] == n and r['loaddir'] == dr,
              [('p50', lambda r: r['p50_us'] / 1e3 if r['samples'] else None, 'span'),
               ('p99', lambda r: r['p99_us'] / 1e3 if r['samples'] else None, 'span'),
               ('first reply', get('first_us', 1e-3), 'span'), ('bulk MB/s meanwhile', get('load_MBps'), 'span'),
               ('err', get('err', 1), 'list'), ('bulk died', get('load_died', 1), 'sum')], lat_ok('p50_us'), note='Ratios are of p50; lower is better.')
    for n in sorted({r['n'] for r in rows if here(r) and r.get('mode') == 'conn'}):
        table(f'Connect, 1-byte echo, close; {n} at a time', lambda r: here(r) and r.get('mode') == 'conn' and r['n'] == n,
              [('conns/s', get('cps'), 'span'), ('p50 ms', get('p50_us', 1e-3), 'span'), ('p99 ms', get('p99_us', 1e-3), 'span'),
               ('failed', lambda r: r['fail'] + r['eof'] + r['timeout'], 'sum')], get('cps'))
    table('Half-close', lambda r: here(r) and r.get('mode') == 'half',
          [('client closes first: ok', lambda r: f"{r['ok']}/{r['n']}", 'list'), ('early EOF', get('eof_early', 1), 'sum'),
           ('reset', get('reset', 1), 'sum'), ('timeout', get('timeout', 1), 'sum'), ('wrong data', get('corrupt', 1), 'sum'),
           ('service closes first: ok', lambda r: f"{r['rev_ok']}/{r['n']}", 'list'), ('upload lost', get('rev_lost', 1), 'sum'), ('other', get('rev_other', 1), 'sum')])
    for d in ('down', 'up'):
        table(f'Slow reader, {d}load (reader stops, then reads on)', lambda r: here(r) and r.get('mode') == 'slow' and r['dir'] == d,
              [('intact', get('intact', 1), 'list'), ('bytes read of total', lambda r: f"{r.get('got', 0)}/{r.get('total', 0)}", 'list'),
               ('how it ended (0 = clean EOF, 1000 = EOF before reply)', get('err', 1), 'list'),
               ('other conn MB/s', get('other_MBps'), 'span'), ('other died', get('other_died', 1), 'sum')], get('other_MBps'))
    for d, sz, n, ld in sorted({(r['dir'], r['size'], r['n'], r['load']) for r in rows if here(r) and r.get('mode') == 'fetch'}):
        table(f'Short {d}loads of {sz} bytes ended by close, {n} at a time' + (f', beside {ld} bulk {d}loads' if ld else ''),
              lambda r: here(r) and r.get('mode') == 'fetch' and (r['dir'], r['size'], r['n'], r['load']) == (d, sz, n, ld),
              [('tried', get('total', 1), 'sum'), ('complete', get('ok', 1), 'sum'), ('truncated', get('truncated', 1), 'sum'),
               ('empty', get('empty', 1), 'sum'),
               ('reset', get('reset', 1), 'sum'), ('timeout', get('timeout', 1), 'sum'), ('wrong data', get('corrupt', 1), 'sum'),
               ('complete/s', get('per_s'), 'span'), ('p50 ms', get('p50_us', 1e-3), 'span'), ('bulk MB/s', get('load_MBps'), 'span')], get('per_s'))
    for n in sorted({(r['pace'], r['total']) for r in rows if here(r) and r.get('mode') == 'pace'}):
        table(f'Steady but slower reader: {n[1] / 1e6:.0f} MB download read at {n[0]:g} MB/s',
              lambda r: here(r) and r.get('mode') == 'pace' and (r['pace'], r['total']) == n,
              [('intact', get('intact', 1), 'list'), ('bytes read', lambda r: r['got'], 'list'), ('error', get('err', 1), 'list'),
               ('seconds', get('secs'), 'span')])
    for n in sorted({r['n'] for r in rows if here(r) and r.get('mode') == 'idle'}):
        table(f'{n} idle connections', lambda r: here(r) and r.get('mode') == 'idle' and r['n'] == n,
              [('opened', get('opened', 1), 'list'), ('open s', get('open_s'), 'span'), ('still alive', get('alive', 1), 'list'),
               ('PSS before MB', get('pss0_kb', 1 / 1024), 'span'), ('PSS with MB', get('pss1_kb', 1 / 1024), 'span'),
               ('KiB per channel', lambda r: (r['pss1_kb'] - r['pss0_kb']) / r['n'], 'span'), ('procs', get('procs', 1), 'med'),
               ('p50 µs then', get('lat_p50_us'), 'span'), ('conns/s then', get('cps'), 'span'), ('MB/s then', get('MBps'), 'span')],
              lambda r: (r['pss1_kb'] - r['pss0_kb']) / r['n'], note='Ratios are of KiB per channel. PSS is summed over both process trees.')
    for sz, rt, fl in sorted({(r['size'], r['rate'], r['flows']) for r in rows if here(r) and r.get('mode') == 'udp'}):
        table(f'UDP echo, {sz} bytes, {rt} packets/s{f", {fl} flows" if fl > 1 else ""}',
              lambda r: here(r) and r.get('mode') == 'udp' and (r['size'], r['rate'], r['flows']) == (sz, rt, fl),
              [('loss %', get('loss_pct'), 'span'), ('p50 ms', get('p50_us', 1e-3), 'span'), ('p99 ms', get('p99_us', 1e-3), 'span'),
               ('wrong', get('bad', 1), 'sum'), ('reordered', get('ooo', 1), 'sum'),
               ('CPU µs/packet', lambda r: (r['cpu_user'] + r['cpu_sys']) / r['rcvd'] * 1e6 if r['rcvd'] else None, 'span')], lat_ok('p50_us'), note='Ratios are of p50.')
    table('Start: seconds until the gate answers', lambda r: here(r) and r.get('mode') == 'start',
          [('ok', get('ok', 1), 'sum'), ('of', lambda r: 1, 'sum'), ('seconds', get('up_s'), 'span'),
           ('PSS MB', get('base_pss_kb', 1 / 1024), 'span')])
    dn = [r for r in rows if here(r) and r.get('mode') == 'down']
    if dn:
        print('\n### Peers that had stopped answering and were restarted\n')
        for r in dn:
            print(f"* {r['peer']}, round {r['round'][1]}, before {r['before']}" + (' (a process had died)' if r.get('procdead') else ''))
if bad:
    print(f'\n({bad} unreadable lines)')
