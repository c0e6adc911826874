// SPDX-License-Identifier: BSD-3-Clause
// What implementations once said, changed: always alike for a seed. CAPTURES_SEED and CAPTURES_SECONDS are another run, or a longer one.
'use strict'
const fs = require('fs')
const path = require('path')

const SEED = Number(process.env.CAPTURES_SEED || 1)
const SECONDS = Number(process.env.CAPTURES_SECONDS || 4)

const vectors = (name) => JSON.parse(fs.readFileSync(path.join(__dirname, '..', 'vectors', name), 'utf8'))

// Numbers below @limit, and changes by them.
class Changes {
  constructor (seed = SEED) { this.state = seed >>> 0 }

  below (limit) {                       // mulberry32
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % limit
  }

  one (list) { return list[this.below(list.length)] }

  // Up to three changes; never empty.
  of (captured) {
    let bytes = Buffer.from(captured)
    for (let left = 1 + this.below(3); left > 0; left--) {
      const at = this.below(bytes.length)
      switch (this.below(6)) {
        case 0: bytes[at] ^= 1 << this.below(8); break
        case 1: bytes[at] = this.one([0, 1, 0x7f, 0x80, 0xfc, 0xfd, 0xfe, 0xff]); break
        case 2: bytes.fill(this.below(256), at, Math.min(bytes.length, at + 1 + this.below(8))); break
        case 3: bytes = bytes.subarray(0, Math.max(1, at)); break
        case 4: bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(this.below(bytes.length)),
                                       bytes.subarray(at)]).subarray(0, 70000); break
        default: bytes = Buffer.concat([bytes, Buffer.alloc(this.below(300), this.below(256))])
      }
    }
    return bytes
  }
}

module.exports = { SECONDS, Changes, vectors }
