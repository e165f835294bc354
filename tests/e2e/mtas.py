"""Postfix, Exim and OpenSMTPD from Debian as they would stand elsewhere, beside each other (bench/peers: unpacked into layers, run in mount and
pid namespaces of their own). Each takes mail for its domain and sends the rest to Tassis. Needs root, as namespaces do."""
import os
import pathlib
import re
import socket
import subprocess
import time

from tassis import ROOT

PEERS = ROOT / "bench" / "peers"
LAYERS = pathlib.Path("/tmp/tassis-mtas")  # what was fetched is kept
DAEMON = "pickup unix n - n 60 1 pickup|cleanup unix n - n - 0 cleanup|qmgr unix n - n 300 1 qmgr|tlsmgr unix - - n 1000? 1 tlsmgr|" \
    "rewrite unix - - n - - trivial-rewrite|bounce unix - - n - 0 bounce|defer unix - - n - 0 bounce|trace unix - - n - 0 bounce|" \
    "verify unix - - n - 1 verify|flush unix n - n 1000? 0 flush|proxymap unix - - n - - proxymap|smtp unix - - n - - smtp|" \
    "relay unix - - n - - smtp|error unix - - n - - error|retry unix - - n - - error|discard unix - - n - - discard|" \
    "virtual unix - n n - - virtual|lmtp unix - - n - - lmtp|anvil unix - - n - 1 anvil|scache unix - - n - 1 scache|" \
    "postlog unix-dgram n - n - 1 postlogd"


class Mta:
    packages = ()

    def __init__(self, host, port, tassis_port, certificate, directory):
        self.host, self.port, self.tassis_port = host, port, tassis_port
        self.name = type(self).__name__.lower()
        self.domain = f"{self.name}.test"
        self.state = pathlib.Path(directory) / self.name
        self.layer = LAYERS / self.name
        for folder in ("etc", "spool", "data", "log", "mail"):
            (self.state / folder).mkdir(parents=True)
        (self.state / "mail").chmod(0o777)
        (self.state / "cert.pem").write_text(certificate[0].read_text())
        (self.state / "key.pem").write_text(certificate[1].read_text())
        (self.state / "key.pem").chmod(0o600)
        LAYERS.mkdir(exist_ok=True)
        subprocess.run([str(PEERS / "fetch"), str(self.layer), *self.packages], check=True, capture_output=True, timeout=300)
        self.configure()
        (self.state / "start").write_text("#!/bin/sh\nset -e\n" + self.start_script)
        self.log = open(self.state / "log" / "out", "wb")
        self.process = subprocess.Popen([str(PEERS / "enter"), str(self.layer), str(self.state), "sh", "/srv/start"], stdin=subprocess.PIPE,
                                        stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection((host, port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError(f"{self.name} does not start:\n{self.said()}") from None
                time.sleep(0.1)

    def said(self):
        return "\n".join(p.read_text(errors="replace") for p in (self.state / "log").iterdir())[-4000:]

    def taken(self):
        """The messages in its mailboxes."""
        return [p.read_bytes() for p in (self.state / "mail").rglob("*") if p.is_file()]

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Postfix(Mta):
    packages = ("postfix",)
    start_script = "chown postfix: /srv/data; cp /usr/share/postfix/dynamicmaps.cf /etc/postfix/postfix-files /srv/etc/ 2>/dev/null || true\n" \
        "chown -R root:root /srv/etc\npostfix -c /srv/etc start\ncat >/dev/null\npostfix -c /srv/etc abort\n"

    def configure(self):
        (self.state / "etc" / "main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = /srv/spool
data_directory = /srv/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /srv/etc
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
inet_protocols = ipv4
maillog_file = /srv/log/mail
maillog_file_prefixes = /srv
myhostname = mx.{self.domain}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
smtputf8_enable = no
virtual_mailbox_domains = {self.domain}
virtual_mailbox_base = /srv/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
alias_maps =
transport_maps = inline:{{ {{ example.test = smtp:[127.0.0.1]:{self.tassis_port} }} }}
smtpd_tls_cert_file = /srv/cert.pem
smtpd_tls_key_file = /srv/key.pem
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
""")
        rows = DAEMON.replace("|", "\n")
        (self.state / "etc" / "master.cf").write_text(f"{self.host}:{self.port} inet n - n - - smtpd\n{rows}\n")


class Exim(Mta):
    packages = ("exim4-daemon-light", "exim4-base", "exim4-config")
    start_script = "grep -q ^Debian-exim: /etc/passwd || echo 'Debian-exim:x:51999:51999::/srv:/bin/false' >>/etc/passwd\n" \
        "grep -q ^Debian-exim: /etc/group || echo 'Debian-exim:x:51999:' >>/etc/group\nmkdir -p /etc/exim4\ncp /srv/etc/exim4.conf /etc/exim4/exim4.conf\n" \
        "chown 51999:51999 /srv/spool /srv/log /srv/data /srv/key.pem /srv/mail\n" \
        "exim4 -bdf -q5s -oP /run/exim.pid </dev/null >>/srv/log/exim 2>&1 &\ncat >/dev/null\nkill $!\n"

    def configure(self):
        (self.state / "etc" / "exim4.conf").write_text(f"""primary_hostname = mx.{self.domain}
local_interfaces = {self.host}
daemon_smtp_ports = {self.port}
spool_directory = /srv/spool
log_file_path = /srv/log/%slog
tls_advertise_hosts = *
tls_certificate = /srv/cert.pem
tls_privatekey = /srv/key.pem
acl_smtp_rcpt = all
keep_environment =
disable_ipv6
begin acl
all:
  accept
begin routers
here:
  driver = accept
  domains = {self.domain}
  transport = box
tassis:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = remote
begin transports
box:
  driver = appendfile
  file = /srv/mail/box
  user = Debian-exim
  delivery_date_add
remote:
  driver = smtp
  port = {self.tassis_port}
""")

    def taken(self):
        """Its mbox, cut into messages; lines are LF there."""
        box = self.state / "mail" / "box"
        parts = re.split(rb"(?m)^From .*\n", box.read_bytes() if box.exists() else b"")
        return [p for p in parts if p]


class Opensmtpd(Mta):
    packages = ("opensmtpd",)
    start_script = "mount -t tmpfs -o mode=755 tmpfs /var\nmkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty /var/mail /var/log /var/run /var/empty\nchmod 711 /var/spool/smtpd\n" \
        "cp /srv/etc/smtpd.conf /etc/smtpd.conf\nchmod 600 /etc/smtpd.conf\nsmtpd -d -f /etc/smtpd.conf </dev/null >>/srv/log/smtpd 2>&1 &\ncat >/dev/null\nkill $!\n"

    def configure(self):
        (self.state / "etc" / "smtpd.conf").write_text(f"""pki mx.{self.domain} cert "/srv/cert.pem"
pki mx.{self.domain} key "/srv/key.pem"
listen on {self.host} port {self.port} tls pki mx.{self.domain} hostname mx.{self.domain}
action "box" maildir "/srv/mail/box" virtual {{ "@" = "nobody" }}
action "tassis" relay host smtp://127.0.0.1:{self.tassis_port}
match from any for domain "{self.domain}" action "box"
match from any for any action "tassis"
""")

    def taken(self):
        return [p.read_bytes() for p in (self.state / "mail").rglob("new/*") if p.is_file()]
