# SPDX-License-Identifier: BSD-3-Clause
"""Programs that measure networks, through a gate: iperf3 by TCP and UDP at one port, dig and dnsperf."""
import json
import os
import re
import subprocess

from place import dnsmasq, eventually, folder, gate, meet, says, server, write

from harness import free_ports, main, test


def iperf3(port, *words):
    """What both ends found out; the server has one client at a time, and takes who only looked whether it is there for one."""
    def ask():
        command = ['iperf3', '-c', '127.0.0.1', '-p', str(port), '-J', *words]
        said = json.loads(subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout)
        return 'error' not in said and said['end']
    return eventually(ask, 60, 'it is let in, and both agree on the end')


@test
def iperf3_by_both_protocols(stack):
    """iperf3: TCP each way, four streams at once, both ways at once; UDP each way, datagrams of 1,200 bytes"""
    service, port = free_ports(2)
    server(stack, service, 'iperf3', '-s', '-p', str(service), '-B', '127.0.0.1')
    meet(stack, [gate(port, service, 'tcp+udp')])
    for words in ([], ['-R'], ['-P', '4'], ['--bidir']):
        end = iperf3(port, '-n', '64M', *words)
        sent = [end[sum_]['bytes'] for sum_ in ('sum_sent', 'sum_sent_bidir_reverse') if sum_ in end]
        assert sum(sent) >= 64 << 20 and all(sent) and end['sum_received']['bytes'] > 0, (words, end)
    for words in ([], ['-R']):
        end = iperf3(port, '-u', '-b', '5M', '-l', '1200', '-t', '2', *words)
        stream = end['streams'][0]['udp']
        assert stream['packets'] > 500 and stream['out_of_order'] < 5 and 0 <= stream['lost_percent'] < 20, (words, stream)


@test
def dig_and_dnsperf_have_an_answer_to_each_question(stack):
    """dnsmasq: dig by either protocol; dnsperf with 8,000 questions of twenty clients: each is answered"""
    names = 200
    service, (port,) = dnsmasq(stack, ''.join(f'host-record=n{n}.test,10.0.{n // 100}.{n % 100}\n' for n in range(names))), free_ports(1)
    meet(stack, [gate(port, service, 'tcp+udp')])

    def dig(*words):
        return says('dig', '@127.0.0.1', '-p', str(port), '+short', '+tries=5', '+time=3', *words).strip()
    eventually(lambda: dig('n7.test') == '10.0.0.7', 20, 'dnsmasq')
    for n in range(0, names, 20):
        assert dig(f'n{n}.test') == dig('+tcp', f'n{n}.test') == f'10.0.{n // 100}.{n % 100}'
    questions = write(os.path.join(folder(stack), 'questions'), ''.join(f'n{n}.test A\n' for n in range(names)))
    # Not by TCP: dnsmasq takes no second question of a connection before the first is answered.
    said = says('dnsperf', '-d', questions, '-s', '127.0.0.1', '-p', str(port), '-n', '40', '-t', '10', '-c', '20', '-q', '50',
                '-Q', '4000')
    assert re.search(rf'Queries completed:\s+{40 * names} \(100\.00%\)', said), said
    assert re.search(rf'Response codes:\s+NOERROR {40 * names} \(100\.00%\)', said), said


if __name__ == '__main__':
    main()
