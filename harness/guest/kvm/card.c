// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "card.h"
#include "disk.h"

#define ETHERNET	"0x020000"

/* Each size that a frame can have, and one more at a time in between. */
#define FRAMES		128
#define PAYLOAD		1472
#define TRIES		60	/* of a second, for a frame that got lost */

#define NUMBERS		1000000
#define NUMBERS_SIZE	"6888896"	/* of "seq 1000000" */
#define PORT_GET	2000
#define PORT_PUT	2001
#define PORT_BUSY	2002

#define LINK_UP(name) \
	"until [ -e /sys/class/net/" name " ]; do sleep 0.1; done; " \
	"ifconfig " name " up; " \
	"until [ \"$(cat /sys/class/net/" name "/carrier)\" = 1 ]; " \
	"do sleep 0.1; done"

struct card card;
static pid_t servers;

struct end {
	char name[IF_NAMESIZE];
	unsigned char mac[ETH_ALEN];
	int fd;
};

struct frame {
	struct ether_header eth;
	struct iphdr ip;
	struct icmphdr icmp;
	unsigned char data[PAYLOAD];
} __attribute__((packed));

const char *card_missing(void)
{
	char bdf[2][VM_BDF_LEN];

	if (vm_pci(ETHERNET, bdf, 2) < 2)
		return "two network cards: see harness/machines/powernv9-kvm";
	strcpy(card.peer_bdf, bdf[0]);
	strcpy(card.bdf, bdf[1]);
	return NULL;
}

/*
 * QEMU's e1000e says that a power cycle is a reset, and goes on receiving:
 * where the process before wanted it to, which may be anywhere in the memory of
 * the next one that makes it a bus master. A reset of the bus does reset it.
 */
bool card_give(void)
{
	char command[96];

	snprintf(command, sizeof(command),
		 "echo bus >" VM_PCI "/%s/reset_method", card.bdf);
	return disk_shell(NULL, command) && disk_bind(card.bdf, "vfio-pci");
}

bool card_take(void)
{
	return disk_bind(card.bdf, "e1000e");
}

/* ------------------------------------------------------------------ */
/* Frames */

static bool why(const char *what)
{
	snprintf(disk.line, sizeof(disk.line), "%s: %s", what, strerror(errno));
	return false;
}

/*
 * The host's driver has this card: it is up, and all of its frames can be seen.
 */
static bool end_open(struct end *e, const char *bdf)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
	};
	char command[512];
	socklen_t len = sizeof(to);

	snprintf(command, sizeof(command),
		 "n=$(ls " VM_PCI "/%s/net) && " LINK_UP("$n") "; echo $n",
		 bdf);
	if (!disk_shell(NULL, command))
		return false;
	snprintf(e->name, sizeof(e->name), "%s", disk.line);
	e->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	to.sll_ifindex = if_nametoindex(e->name);
	if (e->fd < 0 || bind(e->fd, (struct sockaddr *)&to, sizeof(to)) ||
	    getsockname(e->fd, (struct sockaddr *)&to, &len))
		return why(e->name);
	memcpy(e->mac, to.sll_addr, ETH_ALEN);
	return true;
}

static unsigned short checksum(const void *p, size_t len)
{
	const unsigned char *c = p;
	unsigned int sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 ? c[i] : c[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static size_t frame_size(const struct frame *f)
{
	return sizeof(f->eth) + ntohs(f->ip.tot_len);
}

/* A ping with data of its own. */
static void frame_make(struct frame *f, const unsigned char *from,
		       const unsigned char *to, unsigned int seq, size_t size)
{
	size_t i;

	*f = (struct frame){
		.eth.ether_type = htons(ETHERTYPE_IP),
		.ip = {
			.version = 4, .ihl = 5, .ttl = 64,
			.protocol = IPPROTO_ICMP,
			.tot_len = htons(sizeof(f->ip) + sizeof(f->icmp) +
					 size),
			.saddr = inet_addr(CARD_HOST),
			.daddr = inet_addr(CARD_GUEST),
		},
		.icmp = {
			.type = ICMP_ECHO,
			.un.echo.id = htons(getpid()),
			.un.echo.sequence = htons(seq),
		},
	};
	memcpy(f->eth.ether_shost, from, ETH_ALEN);
	memcpy(f->eth.ether_dhost, to, ETH_ALEN);
	for (i = 0; i < size; i++)
		f->data[i] = (seq + i) * 2654435761U >> 24;
	f->ip.check = checksum(&f->ip, sizeof(f->ip));
	f->icmp.checksum = checksum(&f->icmp, sizeof(f->icmp) + size);
}

/* The answer expected of the guest; it numbers packets itself. */
static void frame_answer(struct frame *f, const struct frame *from,
			 const struct frame *got)
{
	*f = *from;
	memcpy(f->eth.ether_shost, from->eth.ether_dhost, ETH_ALEN);
	memcpy(f->eth.ether_dhost, from->eth.ether_shost, ETH_ALEN);
	f->ip.saddr = from->ip.daddr;
	f->ip.daddr = from->ip.saddr;
	f->ip.id = got->ip.id;
	f->ip.frag_off = got->ip.frag_off;
	f->ip.check = 0;
	f->ip.check = checksum(&f->ip, sizeof(f->ip));
	f->icmp.type = ICMP_ECHOREPLY;
	f->icmp.checksum = 0;
	f->icmp.checksum = checksum(&f->icmp, frame_size(f) - sizeof(f->eth) -
				    sizeof(f->ip));
}

static bool is_ours(const struct frame *f, ssize_t len,
		    const struct frame *sent, int type)
{
	return len >= (ssize_t)offsetof(struct frame, data) &&
	       f->ip.protocol == IPPROTO_ICMP && f->icmp.type == type &&
	       f->icmp.un.echo.id == sent->icmp.un.echo.id &&
	       f->icmp.un.echo.sequence == sent->icmp.un.echo.sequence;
}

/* One frame, and what arrives for it; a short one is filled up on the way. */
static bool frame_pass(const struct end *from, const struct end *to,
		       const struct frame *f, bool answered)
{
	struct pollfd p = { .fd = to->fd, .events = POLLIN };
	struct frame got, want = *f;
	unsigned int tries;
	ssize_t len;

	for (tries = 0; tries < TRIES; tries++) {
		if (send(from->fd, f, frame_size(f), 0) < 0)
			return why("a frame is sent");
		while (poll(&p, 1, 1000) > 0) {
			len = recv(to->fd, &got, sizeof(got), MSG_TRUNC);
			if (!is_ours(&got, len, f,
				     answered ? ICMP_ECHOREPLY : ICMP_ECHO))
				continue;
			if (answered)
				frame_answer(&want, f, &got);
			if (len >= (ssize_t)frame_size(&want) &&
			    !memcmp(&got, &want, frame_size(&want)))
				return true;
			snprintf(disk.line, sizeof(disk.line),
				 "a frame of %zu bytes has arrived as another one, of %zd",
				 frame_size(f), len);
			return false;
		}
	}
	snprintf(disk.line, sizeof(disk.line), "a frame of %zu bytes is lost",
		 frame_size(f));
	return false;
}

static int frames_pass(const struct end *from, const struct end *to,
		       const unsigned char *mac, bool answered)
{
	static unsigned int seq;
	struct frame f;
	int i;

	for (i = 0; i < FRAMES; i++) {
		frame_make(&f, from->mac, mac, ++seq,
			   i * PAYLOAD / (FRAMES - 1));
		if (!frame_pass(from, to, &f, answered))
			return -1;
	}
	return i;
}

static int guest_frames(struct vm *vm, const struct end *peer)
{
	unsigned char mac[ETH_ALEN];

	if (!disk_shell(vm, "cat /sys/class/net/eth0/address") ||
	    sscanf(disk.line, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1],
		   &mac[2], &mac[3], &mac[4], &mac[5]) != ETH_ALEN)
		return -1;
	return frames_pass(peer, peer, mac, true);
}

static int host_frames(const struct end *peer)
{
	struct end own = { .fd = -1 };
	int there = -1, back = -1;

	if (end_open(&own, card.bdf)) {
		there = frames_pass(&own, peer, peer->mac, false);
		if (there > 0)
			back = frames_pass(peer, &own, own.mac, false);
	}
	close(own.fd);
	return back < 0 ? -1 : there + back;
}

int card_frames(struct vm *vm)
{
	struct end peer = { .fd = -1 };
	int n = -1;

	if (end_open(&peer, card.peer_bdf))
		n = vm ? guest_frames(vm, &peer) : host_frames(&peer);
	close(peer.fd);
	return n;
}

/* ------------------------------------------------------------------ */
/* Streams */

bool card_up(struct vm *vm)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "ifconfig $(ls " VM_PCI "/%s/net) " CARD_HOST
		 " netmask 255.255.255.0 up",
		 card.peer_bdf);
	return disk_shell(NULL, command) &&
	       disk_shell(vm, LINK_UP("eth0") "; ifconfig eth0 " CARD_GUEST
			      " netmask 255.255.255.0");
}

/* Each connection to the port becomes stdin and stdout of the command. */
static void serve(int port, const char *command)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, c;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	signal(SIGCHLD, SIG_IGN);
	if (bind(s, (struct sockaddr *)&at, sizeof(at)) || listen(s, 4))
		_exit(1);
	while ((c = accept(s, NULL, NULL)) >= 0) {
		if (!fork()) {
			dup2(c, STDIN_FILENO);
			dup2(c, STDOUT_FILENO);
			execl("/bin/sh", "sh", "-c", command, NULL);
			_exit(127);
		}
		close(c);
	}
	_exit(1);
}

bool card_serve(void)
{
	static const struct {
		int port;
		const char *command;
	} all[] = {
		{ PORT_GET, "seq 1000000" },
		{ PORT_PUT, "head -c " NUMBERS_SIZE " | sha256sum" },
		{ PORT_BUSY, "cat /dev/zero & exec cat >/dev/null" },
	};
	unsigned int i;
	pid_t pid;

	fflush(stdout);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		pid = fork();
		if (!pid) {
			setpgid(0, servers);
			serve(all[i].port, all[i].command);
		}
		if (pid < 0)
			return why("fork");
		if (!servers)
			servers = pid;
		setpgid(pid, servers);
	}
	return true;
}

/*
 * Nothing arrives any more at a card that has lost its user, until it has a
 * driver: the emulated e1000e of QEMU 7.2 does not survive all of that.
 */
void card_stop(void)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "ifconfig $(ls " VM_PCI "/%s/net) down", card.peer_bdf);
	disk_shell(NULL, command);
	if (servers && !kill(-servers, SIGKILL))
		while (waitpid(-servers, NULL, 0) > 0)
			;
	servers = 0;
}

#define CALL(port)	"nc " CARD_HOST " " #port
#define AT(port)	CALL(port)

bool card_numbers(char *sum, size_t size)
{
	if (!disk_shell(NULL, "seq 1000000 | sha256sum"))
		return false;
	snprintf(sum, size, "%s", disk.line);
	return true;
}

bool card_receive(struct vm *vm)
{
	return disk_shell(vm, AT(PORT_GET) " </dev/null | sha256sum");
}

bool card_send(struct vm *vm)
{
	return disk_shell(vm, "seq 1000000 | " AT(PORT_PUT));
}

bool card_busy(struct vm *vm)
{
	return disk_shell(vm, "while :; do " AT(PORT_BUSY) " </dev/zero; done "
			  ">/dev/null 2>&1 &") && card_goes_on();
}

/* A mebibyte more each way. */
bool card_goes_on(void)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "cd " VM_PCI "/%s/net/*/statistics; r=$(cat rx_bytes); t=$(cat tx_bytes); "
		 "until [ $(cat rx_bytes) -gt $((r + 1048576)) ] && "
		 "[ $(cat tx_bytes) -gt $((t + 1048576)) ]; do sleep 0.1; done",
		 card.peer_bdf);
	return disk_shell(NULL, command);
}
