// SPDX-License-Identifier: BSD-3-Clause
// A double in a process of its own, so that it can die: node process.js gateway|provider '{"secret": ...}'.
'use strict'
const { spawn } = require('child_process')

// Starts one; .kill(): without a goodbye.
function spawnDouble (role, options) {
  const child = spawn(process.execPath, [__filename, role, JSON.stringify(options)], { stdio: ['pipe', 'inherit', 'inherit'] })
  const ended = new Promise((resolve) => child.on('close', resolve))
  return { kill: () => { child.kill('SIGKILL'); return ended } }
}

function main ([role, options]) {
  const Double = require(role === 'gateway' ? './gateway' : './provider')
  new Double(JSON.parse(options))                               // eslint-disable-line no-new
  process.stdin.on('end', () => process.exit()).resume()        // not longer than who started it
}

if (require.main === module) main(process.argv.slice(2))
module.exports = { spawnDouble }
