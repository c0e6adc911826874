/* SPDX-License-Identifier: BSD-3-Clause */
#include "capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SETS = _LINUX_CAPABILITY_U32S_3 };

/* Beyond the highest capability of this kernel, prctl() says EINVAL. */
void capabilities_drop_bounding(void)
{
        for (unsigned long capability = 0; capability < 64; capability++)
                if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
                        break;
}

bool capabilities_any(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[SETS], none[SETS] = { 0 };

        if (syscall(SYS_capget, &header, data) < 0)
                return true;
        for (int capability = 0; capability < 64; capability++)
                if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1)
                        return true;
        return memcmp(data, none, sizeof(data)) != 0;
}

int capabilities_drop_all(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[SETS] = { 0 };

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        /* So that not even uid 0 gains one by exec, wherever the bounding set can't be cleared. Refused without CAP_SETPCAP. */
        prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                         SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                         SECBIT_NO_SETUID_FIXUP_LOCKED, 0, 0, 0);
        capabilities_drop_bounding();
        /* A service manager that gave us none may also have forbidden the call. */
        return syscall(SYS_capset, &header, none) < 0 && capabilities_any() ? -EPERM : 0;
}
