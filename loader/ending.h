/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ending.h - no command reaches a QEMU that has begun to exit, nor is one under way.
 *
 * Its monitors' thread still reads commands when the dispatcher that carries them out has ended
 * (monitor/monitor.c:monitor_cleanup): then it crashes (10.0), or waits for ever (7.2). Both wait for ever where a command has
 * been taken and not been carried out: what would go on with it is scheduled in one context, and another one is waited for.
 * QEMU says SHUTDOWN to its monitors, and tells its shutdown notifiers, before that.
 */
#ifndef CPRSHIM_LOADER_ENDING_H
#define CPRSHIM_LOADER_ENDING_H

void ending_watch(int monitor);
void ending_hold(void);
void ending_release(void);

#endif
