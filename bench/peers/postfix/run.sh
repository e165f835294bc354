# run.sh - starts and stops Postfix with a configuration of its own in /srv/etc; sourced by the peers that receive with it.
postfix_prepare() { # postfix_prepare MAIN.CF MASTER.CF
    if [ ! -d /srv/spool/active ]; then
        mkdir -p /srv/etc /srv/spool /srv/postfix /srv/log
        cp /usr/share/postfix/dynamicmaps.cf /etc/postfix/postfix-files /srv/etc/
        chown postfix: /srv/postfix
        sed 's/:.*/ OK/' /srv/accounts >/srv/etc/accounts
    fi
    cp "$1" /srv/etc/main.cf
    cp "$2" /srv/etc/master.cf
    chown -R root:root /srv/etc
    [ -f /srv/etc/accounts.db ] || postmap -c /srv/etc hash:/srv/etc/accounts
}
postfix_start() { postfix -c /srv/etc start >/dev/null 2>&1; }
postfix_stop() { postfix -c /srv/etc abort >/dev/null 2>&1 || true; }
# Messages that are acknowledged and not yet in a mailbox.
postfix_queued() { find /srv/spool/incoming /srv/spool/active /srv/spool/deferred /srv/spool/maildrop -type f | wc -l; }
