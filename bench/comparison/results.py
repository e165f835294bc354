"""What was measured: one line of JSON each, appended as it comes, so that a run can be cut and taken up again."""
import json
import statistics


class Results:
    def __init__(self, path):
        self.path = path
        self.rows = []
        if path.exists():
            whole, _, cut = path.read_text().rpartition("\n")
            self.rows = [json.loads(line) for line in whole.splitlines() if line]
            if cut:  # killed while it wrote
                path.write_text("".join(line + "\n" for line in whole.splitlines()))

    def add(self, **row):
        self.rows.append(row)
        with open(self.path, "a") as f:
            f.write(json.dumps(row) + "\n")

    def forget(self, works):
        """They are to be measured again."""
        self.rows = [row for row in self.rows if row["work"] not in works]
        self.path.write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    def has(self, **wanted):
        return any("error" not in row and all(row.get(k) == v for k, v in wanted.items()) for row in self.rows)

    def has_run(self, peer):
        return any(row["server"].partition("/")[0] == peer for row in self.rows)

    def values(self, work, server, field="value"):
        return [row[field] for row in self.rows if row["work"] == work and row["server"] == server and row.get(field) is not None]

    def median(self, work, server, field="value"):
        values = self.values(work, server, field)
        return statistics.median(values) if values else None

    def spread(self, work, server):
        """(largest - smallest) / median: how much to trust it."""
        values = self.values(work, server)
        return (max(values) - min(values)) / statistics.median(values) if len(values) > 1 and statistics.median(values) else 0.0

    def error(self, work, server):
        errors = [row["error"] for row in self.rows if row["work"] == work and row["server"] == server and "error" in row]
        return errors[-1] if errors and not self.values(work, server) else None

    def servers_of(self, work):
        seen = []
        for row in self.rows:
            if row["work"] == work and row["server"] not in seen:
                seen.append(row["server"])
        return seen
