/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A network card that is passed on, and the peer: the host's own card at the
 * other end of the cable. The host has the address CARD_HOST there, and the
 * guest CARD_GUEST. A call that is false leaves the reason in disk.line.
 */
#ifndef HARNESS_KVM_CARD_H
#define HARNESS_KVM_CARD_H

#include "vm.h"

#define CARD_HOST	"10.9.0.1"
#define CARD_GUEST	"10.9.0.2"

struct card {
	char bdf[VM_BDF_LEN];
	char peer_bdf[VM_BDF_LEN];
};

extern struct card card;

/* Finds both and starts services for the guest: NULL, or what is missing. */
const char *card_missing(void);

/* To vfio-pci, and to the host's own driver. */
bool card_give(void);
bool card_take(void);

/*
 * Frames of all sizes, each compared whole: the host's from either card to the
 * other one, or the answers of the guest @vm to frames of the peer. Returns the
 * number of frames, or -1.
 */
int card_frames(struct vm *vm);

/* The guest brings the card up. */
bool card_up(struct vm *vm);

/* Streams by TCP: the checksum of the data received, in disk.line. */
bool card_numbers(char *sum, size_t size);
bool card_receive(struct vm *vm);
bool card_send(struct vm *vm);

/* Streams both ways until the end of the guest; they go on now. */
bool card_busy(struct vm *vm);
bool card_goes_on(void);

/* The host's ends of the streams; when they stop the peer is down. */
bool card_serve(void);
void card_stop(void);

#endif
