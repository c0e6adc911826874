/* SPDX-License-Identifier: BSD-3-Clause */
#include "steps.h"

struct steps steps;
