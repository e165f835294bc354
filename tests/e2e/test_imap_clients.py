"""Programs that read mail, as people have them, two or more at once on one account: what one does, the others and a raw session see."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import tassis
from tassis import text_message, wait_until

ARTEFACTS = tassis.ROOT / "tests" / "artefacts"
NODE = pathlib.Path(os.environ.get("TASSIS_NODE", tassis.ROOT / "build-check" / "node"))


def program(name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def run(*words, stdin="", env=None, timeout=120):
    done = subprocess.run(list(map(str, words)), input=stdin, capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})})
    assert done.returncode == 0, f"{' '.join(map(str, words))[:200]}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def box(server):
    """An account with five letters; its password needs no quoting in anybody's config file."""
    made = server.new_account()
    made.password = "simple-" + made.address.split("@")[0]
    server.cli("account", "passwd", made.address, "--password-stdin", stdin=made.password + "\n")
    session = made.imap()
    for n in range(5):
        session.append(text_message(f"letter {n}", body=f"the text of number {n}\r\n"))
    session.close()
    return made


def flags(box, mailbox="INBOX"):
    """Subject: flags, of a mailbox."""
    session = box.imap()
    found = {}
    session.ok(f"EXAMINE {mailbox}")
    for line in session.ok("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").untagged:
        inside, _, header = line.partition(b"\r\n")
        found[header.split(b"Subject: ")[1].split(b"\r\n")[0].decode()] = set(inside.split(b"FLAGS (")[1].split(b")")[0].decode().split()) - {"\\Recent"}
    session.close()
    return found


# ---- Thunderbird

def test_thunderbird(server, box):
    """An account is set up; letters are read, flagged, moved, searched; a letter that arrives shows by itself."""
    for name in ("thunderbird", "Xvfb", "import"):
        program(name)
    from thunderbird import Thunderbird
    bird = Thunderbird()
    try:
        bird.run("""
            const [host, port, user, password] = arguments;
            Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService)
                .setDisableAllSecurityChecksAndLetAttackersInterceptMyData(true); // a self-signed certificate
            const server = MailServices.accounts.createIncomingServer(user, host, "imap");
            server.port = port; server.socketType = Ci.nsMsgSocketType.SSL; server.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
            server.password = password;
            const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
            login.init("imap://" + host, null, "imap://" + host, user, password, "", "");
            await Services.logins.addLoginAsync(login);
            const identity = MailServices.accounts.createIdentity();
            identity.email = user; identity.valid = true;
            const account = MailServices.accounts.createAccount();
            account.incomingServer = server; account.addIdentity(identity);
            MailServices.accounts.defaultAccount = account;
            server.performExpand(win.msgWindow);
            await wait("INBOX", inbox);
            win.document.getElementById("tabmail").currentAbout3Pane.displayFolder(inbox().URI);
            await wait("five letters", () => letters().length == 5);
        """, "127.0.0.1", server.ports["imaps"], box.address, box.password)
        names = bird.run("await wait('folders', () => root().subFolders.length >= 6); return root().subFolders.map(f => f.name)")
        assert {"INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"} <= set(names)
        shown = bird.run("""
            const pane = win.document.getElementById("tabmail").currentAbout3Pane;
            pane.threadTree.selectedIndex = 0;
            const text = () => pane.messageBrowser?.contentDocument?.getElementById("messagepane")?.contentDocument?.body?.textContent;
            return wait("the letter's text", () => text()?.includes("the text of number") && text());
        """)
        assert "the text of number 0" in shown
        bird.run("""
            inbox().markMessagesRead([letters()[1]], true);
            inbox().markMessagesFlagged([letters()[2]], true);
            const archive = await wait("Archive", () => root().findSubFolder("Archive"));
            await new Promise((resolve, reject) => MailServices.copy.copyMessages(inbox(), [letters()[3]], archive, true, {
                onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() {},
                onStopCopy(status) { status ? reject(new Error("the move failed: " + status)) : resolve(); },
            }, win.msgWindow, false));
            await wait("the letter to be gone", () => letters().length == 4);
        """)
        expected = {"letter 0": {"\\Seen"}, "letter 1": {"\\Seen"}, "letter 2": {"\\Flagged"}, "letter 4": set()}
        wait_until(lambda: flags(box) == expected, what=f"{expected} in place of {flags(box)}")
        assert list(flags(box, "Archive")) == ["letter 3"]
        found = bird.run("""
            const search = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
            const term = search.createTerm();
            term.attrib = Ci.nsMsgSearchAttrib.Body; term.op = Ci.nsMsgSearchOp.Contains;
            const value = term.value;
            value.attrib = term.attrib; value.str = "OF NUMBER 4"; term.value = value;
            search.appendTerm(term); search.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, inbox());
            const hits = [];
            await new Promise(done => {
                search.registerListener({ onSearchHit(h) { hits.push(h.subject); }, onSearchDone: done, onNewSearch() {} },
                    Ci.nsIMsgSearchSession.allNotifications);
                search.search(win.msgWindow);
            });
            return hits;
        """)
        assert found == ["letter 4"]
        # Somebody else works on the same account meanwhile.
        box.receive(text_message("letter 5"))
        other = box.imap("INBOX")
        other.ok("STORE 1 +FLAGS (\\Answered)")
        other.ok("UID STORE 5 +FLAGS (\\Deleted)")
        other.ok("EXPUNGE")
        other.close()
        bird.run("""await wait("what the other did", () => {
            const subjects = letters().map(l => l.subject).join();
            return subjects == "letter 0,letter 1,letter 2,letter 5" && letters()[0].isReplied !== false;
        })""")
        bird.screenshot(ARTEFACTS / "thunderbird.png")
    finally:
        bird.close()


# ---- Perl's Mail::IMAPClient

PERL = r"""
use strict; use warnings; use Mail::IMAPClient;
my ($port, $user, $password) = @ARGV;
my @made = map { Mail::IMAPClient->new(Server => "127.0.0.1", Port => $port, User => $user, Password => $password, Ssl => [SSL_verify_mode => 0], Uid => 1)
    or die "login: $@" } 1 .. 2;
my ($a, $b) = @made;
sub check { my ($what, $is, $should) = @_; die "$what: '$is', should be '$should'\n" unless $is eq $should; }
$_->select("INBOX") or die $_->LastError for @made;
check("count", $a->message_count, 5);
my @uids = $a->messages;
check("search", join(",", $a->search("SUBJECT", "letter 3")), $uids[3]);
check("body", ($a->body_string($uids[1]) =~ /the text of number 1/) ? 1 : 0, 1);
check("seen", join(" ", grep { $_ ne '\Recent' } $b->flags($uids[1])), '\Seen');
$a->create("Work/Plans") or die $a->LastError;
check("folders", join(",", grep { /Plans/ } $b->folders), "Work/Plans");
$a->move("Work/Plans", $uids[4]) or die $a->LastError; $a->expunge;
$b->noop; check("moved", $b->message_count, 4);
my $idle = $b->idle or die $b->LastError;
$a->append_string("INBOX", "Subject: from perl\r\n\r\nhello\r\n", '\Flagged') or die $a->LastError;
my $told = join " ", @{ $b->idle_data(10) || [] };
check("idle", $told =~ /\* 5 EXISTS/ ? 1 : 0, 1);
$b->done($idle) or die $b->LastError;
check("envelope", $b->get_envelope(($b->messages)[4])->subject, "from perl");
check("structure", $b->get_bodystructure($uids[0])->bodytype, "TEXT");
check("has", join(",", grep { !$b->has_capability($_) } qw(IDLE UIDPLUS MOVE NAMESPACE)), "");
$_->logout for @made;
print "done\n";
"""


def test_perl_imapclient(server, box, tmp_path):
    if subprocess.run(["perl", "-MMail::IMAPClient", "-MIO::Socket::SSL", "-e", "1"], capture_output=True).returncode:
        pytest.skip("Mail::IMAPClient is not installed")
    (tmp_path / "test.pl").write_text(PERL)
    assert run("perl", tmp_path / "test.pl", server.ports["imaps"], box.address, box.password) == "done\n"
    assert flags(box)["from perl"] == {"\\Flagged"}
    assert list(flags(box, "Work/Plans")) == ["letter 4"]


# ---- npm's imapflow

FLOW = """
const { ImapFlow } = require("imapflow");
const assert = require("assert");
const [port, user, pass] = process.argv.slice(2);
const connect = async () => {
    const client = new ImapFlow({ host: "127.0.0.1", port: Number(port), secure: true, auth: { user, pass }, tls: { rejectUnauthorized: false }, logger: false });
    await client.connect();
    return client;
};
const within = (what, promise) => Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error("waited in vain for " + what)), 15000).unref())]);
(async () => {
    const a = await connect(), b = await connect();
    await a.mailboxOpen("INBOX");
    await b.mailboxOpen("INBOX");
    assert.strictEqual(a.mailbox.exists, 5);
    const all = await a.fetchAll("1:*", { uid: true, flags: true, envelope: true, bodyStructure: true, size: true, source: true });
    assert.deepStrictEqual(all.map(m => m.envelope.subject), [0, 1, 2, 3, 4].map(n => "letter " + n));
    assert(all.every(m => m.size === m.source.length && m.bodyStructure.type === "text/plain"));
    const told = new Promise(done => b.on("flags", done));
    b.idle();
    await a.messageFlagsAdd("2", ["\\\\Flagged"]);
    assert((await within("flags", told)).flags.has("\\\\Flagged"));
    const gone = new Promise(done => b.on("expunge", done));
    b.idle();
    await a.mailboxCreate("Projects/M\\u00fcnchen");
    const moved = await a.messageMove(String(all[3].uid), "Projects/M\\u00fcnchen", { uid: true });
    assert.strictEqual(moved.uidMap.size, 1);
    await within("expunge", gone);
    const more = new Promise(done => b.on("exists", done));
    b.idle();
    await a.append("INBOX", "Subject: from node\\r\\n\\r\\nhello\\r\\n", ["\\\\Seen"]);
    assert.strictEqual((await within("exists", more)).count, 5);
    assert.deepStrictEqual(await b.search({ subject: "from node" }, { uid: true }), [all[4].uid + 1]);
    const status = await b.status("Projects/M\\u00fcnchen", { messages: true, unseen: true, uidNext: true });
    assert.strictEqual(status.messages, 1);
    const { content } = await b.download("1");
    let text = "";
    for await (const piece of content) text += piece;
    assert(text.includes("the text of number 0"));
    assert((await b.list()).some(m => m.path === "Projects/M\\u00fcnchen"));
    await a.mailboxDelete("Projects/M\\u00fcnchen");
    await a.logout(); await b.logout();
    console.log(JSON.stringify([...a.capabilities.keys()]));
})().catch(e => { console.error(e); process.exit(1); });
"""


def test_imapflow(server, box, tmp_path):
    program("node")
    if not (NODE / "node_modules" / "imapflow").exists():
        pytest.skip(f"no imapflow in {NODE}")
    (tmp_path / "test.js").write_text(FLOW)
    capabilities = run("node", tmp_path / "test.js", server.ports["imaps"], box.address, box.password, env={"NODE_PATH": str(NODE / "node_modules")})
    assert "IDLE" in json.loads(capabilities)
    assert flags(box)["letter 1"] == {"\\Flagged"} and flags(box)["from node"] == {"\\Seen"}


# ---- offlineimap

def test_offlineimap_both_ways(server, box, tmp_path):
    program("offlineimap")
    mail = tmp_path / "mail"
    (tmp_path / "config").write_text(f"""
[general]
accounts = test
metadata = {tmp_path}/metadata
[Account test]
localrepository = local
remoterepository = remote
[Repository local]
type = Maildir
localfolders = {mail}
[Repository remote]
type = IMAP
remotehost = 127.0.0.1
remoteport = {server.ports["imaps"]}
ssl = yes
sslcacertfile = {server.certificate(tmp_path)}
remoteuser = {box.address}
remotepass = {box.password}
ssl_version = tls1_2
sslhostname = mx.example.test
""".replace("sslhostname = mx.example.test\n", "").replace(f"sslcacertfile = {server.certificate(tmp_path)}\n", f"cert_fingerprint = {fingerprint(server)}\n"))

    def sync():
        run("offlineimap", "-c", tmp_path / "config", "-o", "-u", "basic", env={"HOME": str(tmp_path)})

    def local(folder="INBOX"):
        return sorted(p for kind in ("new", "cur") for p in (mail / folder / kind).iterdir())

    sync()
    assert len(local()) == 5 and (mail / "Archive").is_dir()
    # Changes on both sides: a flag and a new letter there, a read and a deleted letter here.
    session = box.imap("INBOX")
    session.ok("STORE 1 +FLAGS (\\Flagged)")
    session.append(text_message("letter 5"))
    session.close()
    files = {p.read_bytes().split(b"Subject: ")[1].split(b"\r\n" if b"\r\n" in p.read_bytes() else b"\n")[0].decode(): p for p in local()}
    files["letter 2"].unlink()
    read = files["letter 3"]
    read.rename(mail / "INBOX" / "cur" / (read.name.split(":")[0] + ":2,S"))
    sync()
    sync()
    assert flags(box) == {"letter 0": {"\\Flagged"}, "letter 1": set(), "letter 3": {"\\Seen"}, "letter 4": set(), "letter 5": set()}
    assert len(local()) == 5
    assert any(p.name.endswith(":2,F") for p in local())


def fingerprint(server):
    import hashlib
    import ssl
    pem = ssl.get_server_certificate(("127.0.0.1", server.ports["imaps"]))
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


# ---- alpine and neomutt, in a terminal

class Terminal:
    """A terminal of tmux with a program in it: keys go in, the screen is looked at."""

    def __init__(self, command, home):
        self.words = ["tmux", "-L", f"tassis-{os.getpid()}-{home.name}"]
        self.env = {**os.environ, "HOME": str(home), "TERM": "vt100", "LC_ALL": "C.UTF-8"}
        self.tmux("new-session", "-d", "-x", "100", "-y", "40", command)

    def tmux(self, *words):
        return subprocess.run([*self.words, *words], env=self.env, capture_output=True, text=True, timeout=30).stdout

    def wait(self, text):
        wait_until(lambda: text in self.tmux("capture-pane", "-p"), timeout=40, what=f"{text!r} in\n{self.tmux('capture-pane', '-p')}\n")

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def ended(self):
        wait_until(lambda: not self.tmux("list-sessions"), timeout=40, what="the program's end")

    def close(self):
        self.tmux("kill-server")


@pytest.fixture
def terminal(tmp_path):
    program("tmux")
    made = []

    def make(command):
        made.append(Terminal(command, tmp_path))
        return made[-1]

    yield make
    for t in made:
        t.close()


def test_alpine(server, box, tmp_path, terminal):
    program("alpine")
    there = f"{{127.0.0.1:{server.ports['imaps']}/ssl/novalidate-cert/user={box.address}}}"
    (tmp_path / ".pinerc").write_text(f"inbox-path={there}INBOX\nfolder-collections=Mail {there}[]\nlast-version-used=9.99\n"
                                      "feature-list=quit-without-confirm,expunge-without-confirm,expunge-without-confirm-everywhere\n")
    t = terminal(f"alpine -p {tmp_path}/.pinerc -i")
    t.wait("PASSWORD")
    t.type(box.password, "Enter")
    t.wait("Preserve password")
    t.type("n")
    t.wait("letter 4")
    t.type("Enter")
    t.wait("the text of number 0")
    t.type("d")
    t.wait("Message 1 marked for deletion")
    t.type("i")
    t.wait("MESSAGE INDEX")
    t.type("x")
    t.wait("1 message expunged")
    box.receive(text_message("letter 5"))  # seen at the next look
    t.type("n", "C-l")
    t.wait("letter 5")
    t.type("q")
    t.ended()
    assert flags(box) == {"letter 1": {"\\Seen"}, "letter 2": set(), "letter 3": set(), "letter 4": set(), "letter 5": set()}


def test_neomutt(server, box, tmp_path, terminal):
    program("neomutt")
    user = box.address.replace("@", "%40")
    (tmp_path / "neomuttrc").write_text(f"""
set folder="imaps://{user}@127.0.0.1:{server.ports["imaps"]}/"
set spoolfile="+INBOX"
set imap_pass="{box.password}"
set from="{box.address}"
set ssl_verify_host=no
set ssl_verify_dates=no
set certificate_file={server.certificate(tmp_path)}
set ssl_ca_certificates_file={server.certificate(tmp_path)}
set delete=yes
set confirmappend=no
set wait_key=no
set sort=mailbox-order
set sleep_time=0
set mark_old=no
set imap_condstore=yes
set imap_qresync=yes
set header_cache={tmp_path}/cache
""")
    for again in (False, True):  # the second time with a cache
        t = terminal(f"neomutt -F {tmp_path}/neomuttrc")
        t.wait("letter 4")
        if not again:
            t.type("1", "Enter")
            t.wait("letter 0")
            t.type("Enter")
            t.wait("the text of number 0")
            t.type("i")
            t.type("2", "Enter", "F")
            t.type("3", "Enter", "s", "=Archive", "Enter")
            t.wait("letter 3")
        else:
            assert "letter 2" not in t.tmux("capture-pane", "-p")
        t.type("q")
        t.ended()
        t.close()
    assert flags(box) == {"letter 0": {"\\Seen"}, "letter 1": {"\\Flagged"}, "letter 3": set(), "letter 4": set()}
    assert list(flags(box, "Archive")) == ["letter 2"]
