"""The HTTP way into the real ClickHouse engine, for tests: each request's SQL and body are handed to chdb. No server
package of a current ClickHouse can be installed everywhere the tests run; the engine is the same.

Run as `python -m tests.stack.clickhouse_front FOLDER PORT`."""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import chdb

#: settings of a request that speak of its transport, not to the engine
_TRANSPORT = {"query", "database", "query_id", "session_id", "client_protocol_version", "compress", "decompress", "wait_end_of_query",
              "cancel_http_readonly_queries_on_client_close", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
              "enable_http_compression", "http_zlib_compression_level", "session_timeout", "session_check"}  # fmt: skip


class Front(BaseHTTPRequestHandler):
    """One request, one statement."""

    protocol_version = "HTTP/1.1"
    connection: chdb.Connection
    one_at_a_time = threading.Lock()

    def do_GET(self) -> None:
        if self.path.startswith("/ping"):
            return self._answer(200, b"Ok.\n")
        return self._run(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            return self._run(b"".join(self._chunks()))
        return self._run(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _chunks(self):
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _run(self, body: bytes) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = _plain(body, self.headers.get("Content-Encoding", ""))
        sql, data = (given["query"].encode(), body) if "query" in given else (body, b"")
        insert = re.match(rb"(INSERT INTO .*?) FORMAT (\w+)\s*\n?", sql, re.S)
        if insert and not data:
            data = sql[insert.end() :]
        params = {name[6:]: value for name, value in given.items() if name.startswith("param_")}
        settings = {name: value for name, value in given.items() if name not in _TRANSPORT and not name.startswith("param_")}
        try:
            with Front.one_at_a_time:
                if given.get("database"):
                    Front.connection.query(f"USE `{given['database']}`")
                if insert:
                    self._answer(200, self._insert(insert[1].decode(), insert[2].decode(), data, settings))
                else:
                    wanted = re.search(rb"FORMAT (\w+)\s*;?\s*$", sql)
                    form = wanted[1].decode() if wanted else self.headers.get("X-ClickHouse-Format", "TabSeparated")
                    self._answer(200, Front.connection.query(sql.decode(), form, params=params).bytes() or b"")
        except Exception as error:  # whatever the engine says is the answer
            self._answer(500, str(error).encode(), {"X-ClickHouse-Exception-Code": "1"})

    def _insert(self, head: str, form: str, data: bytes, settings: dict[str, str]) -> bytes:
        clause = ", ".join(f"{name} = '{value}'" for name, value in settings.items())
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            statement = f"{head} FROM INFILE '{file.name}' {'SETTINGS ' + clause if clause else ''} FORMAT {form}"
            return Front.connection.query(statement, "TabSeparated").bytes() or b""

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


def _plain(body: bytes, encoding: str) -> bytes:
    if encoding == "lz4":
        import lz4.frame

        return lz4.frame.decompress(body)
    if encoding == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body


if __name__ == "__main__":
    Front.connection = chdb.connect(sys.argv[1])
    Front.connection.query("CREATE DATABASE IF NOT EXISTS shelfcast")
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Front).serve_forever()
