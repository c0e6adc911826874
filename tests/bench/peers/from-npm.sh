#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A gateway on the original's libraries, and our provider.
HALF=gateway . "$(dirname "$0")/npm.sh"
