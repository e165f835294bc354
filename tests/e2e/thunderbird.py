"""Thunderbird in a window of its own (Xvfb), driven by its remote protocol "Marionette" with scripts that use its own mail code."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import tassis

PREFERENCES = {
    "mail.provider.suppress_dialog_on_startup": True, "mailnews.start_page.enabled": False, "mail.spotlight.firstRunDone": True,
    "mail.shell.checkDefaultClient": False, "mail.rights.version": 1, "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False, "services.settings.server": "data:,", "network.captive-portal-service.enabled": False,
    "mail.server.default.check_new_mail": False,
}
PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const win = Services.wm.getMostRecentWindow("mail:3pane");
const wait = async (what, ready) => {
    for (let n = 0; n < 400; n++) {
        const value = ready();
        if (value) return value;
        await new Promise(done => win.setTimeout(done, 100));
    }
    throw new Error("waited in vain for " + what);
};
const root = () => MailServices.accounts.defaultAccount.incomingServer.rootFolder;
const inbox = () => root().getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
const letters = () => [...inbox().messages].sort((x, y) => x.messageKey - y.messageKey);
"""


class Thunderbird:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="tassis-thunderbird-")
        port, = tassis.free_ports(1)
        preferences = {**PREFERENCES, "marionette.port": port}
        pathlib.Path(self.home, "user.js").write_text("".join(f'user_pref("{k}", {json.dumps(v)});\n' for k, v in preferences.items()))
        self.env = {**os.environ, "HOME": self.home, "MOZ_REMOTE_SETTINGS_DEVTOOLS": "1"}
        self.log = open(pathlib.Path(self.home, "log"), "wb")
        self.screen = subprocess.Popen(["Xvfb", "-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
                                       stdout=subprocess.PIPE, stderr=self.log)
        self.env["DISPLAY"] = ":" + self.screen.stdout.readline().decode().strip()
        self.process = subprocess.Popen(["thunderbird", "--profile", self.home, "--no-remote", "--marionette", "-remote-allow-system-access"],
                                        env=self.env, stdout=self.log, stderr=self.log)
        self.calls, self.buffer = 0, b""
        self.connect(port)

    def connect(self, port):
        deadline = time.monotonic() + 120
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
                break
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, pathlib.Path(self.home, "log").read_text()
                time.sleep(0.2)
        self.packet()
        self.call("WebDriver:NewSession", capabilities={})
        self.call("Marionette:SetContext", value="chrome")

    def packet(self):
        while b":" not in self.buffer:
            self.buffer += self.socket.recv(65536)
        length, _, rest = self.buffer.partition(b":")
        while len(rest) < int(length):
            rest += self.socket.recv(65536)
        self.buffer = rest[int(length):]
        return json.loads(rest[:int(length)])

    def call(self, name, **parameters):
        self.calls += 1
        data = json.dumps([0, self.calls, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(data), data))
        while True:
            _, number, error, result = self.packet()
            if number == self.calls:
                assert not error, error
                return result

    def run(self, script, *arguments):
        """The value that this script returns; it may await, and finds the names of PRELUDE."""
        script = (f"const resolve = arguments[arguments.length - 1]; (async () => {{ {PRELUDE} {script} }})()"
                  ".then(ok => resolve({ok}), e => resolve({bad: String(e)}));")
        value = self.call("WebDriver:ExecuteAsyncScript", script=script, args=list(arguments), sandbox="system", newSandbox=True,
                          scriptTimeout=120000)["value"]
        assert "bad" not in value, value["bad"]
        return value.get("ok")

    def screenshot(self, path):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["import", "-window", "root", str(path)], env=self.env, check=True, timeout=60)

    def close(self):
        for process in (self.process, self.screen):
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)
