# run.sh - starts and stops Dovecot; sourced by the peers that deliver into it. $1 of dovecot_prepare: mdbox, maildir or sdbox, and "+hibernate" where idle
# IMAP sessions shall be put to sleep (imap_hibernate_timeout; core_settings in Dovecot's manual; its advice for many idle clients).
dovecot_prepare() {
    mkdir -p /srv/mail /srv/log /srv/dovecot
    chown vmail:vmail /srv/mail
    { echo "mail_location = ${1%+*}:~/mail"
      case $1 in *+hibernate) echo "imap_hibernate_timeout = 5s" ;; esac; } >/srv/format.conf
    cp /srv/accounts /srv/users # "user0@example.test:{SHA256-CRYPT}$5$…"
}
dovecot_start() {
    dovecot -F -c /media/dovecot/dovecot.conf &
    dovecot=$!
}
dovecot_stop() {
    kill -TERM "$dovecot" 2>/dev/null || true
    wait "$dovecot" || true
}
