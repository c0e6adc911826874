// SPDX-License-Identifier: BSD-3-Clause
// A double in a process of its own, so that it can die: node process.js gateway|provider '{"secret": ...}' [tell]. With the last word it
// says when node and its modules were there (what comes before is no doing of theirs), and when it was first connected, in ns of
// CLOCK_MONOTONIC.
'use strict'
const { spawn } = require('child_process')

// Starts one; .kill(): without a goodbye.
function spawnDouble (role, options) {
  const child = spawn(process.execPath, [__filename, role, JSON.stringify(options)], { stdio: ['pipe', 'inherit', 'inherit'] })
  const ended = new Promise((resolve) => child.on('close', resolve))
  return { kill: () => { child.kill('SIGKILL'); return ended } }
}

function main ([role, options, tell]) {
  const Double = require(role === 'gateway' ? './gateway' : './provider')
  const say = (what) => tell && console.log(`${what} ${process.hrtime.bigint()}`)
  say('loaded')
  new Double(JSON.parse(options)).swarm.once('connection', () => say('connected'))
  process.stdin.on('end', () => process.exit()).resume()        // not longer than who started it
}

if (require.main === module) main(process.argv.slice(2))
module.exports = { spawnDouble }
