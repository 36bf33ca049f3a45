#!/usr/bin/python3
"""Peer of the interop tests: nginx speaks TLS to the client and passes on to python_server.py.

SLUICE_TEST_CERTIFICATE_FILE and SLUICE_TEST_KEY_FILE name what nginx shows. Prints "port <number>",
then what python_server.py prints.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import in_front

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $http_connection;
      proxy_set_header Host $host;
      proxy_read_timeout 60s;
    }}
  }}
}}
"""


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main():
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        print("missing: nginx-light", flush=True)
        sys.exit(77)
    plain = dict(os.environ)
    certificate = plain.pop("SLUICE_TEST_CERTIFICATE_FILE")
    key = plain.pop("SLUICE_TEST_KEY_FILE")
    server, behind = in_front.start_python_server(plain)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(5):  # somebody else may have taken the port meanwhile
            port = in_front.free_port()
            pathlib.Path(folder, "nginx.conf").write_text(CONFIGURATION.format(
                folder=folder, port=port, certificate=certificate, key=key,
                behind=behind))
            proxy = subprocess.Popen([nginx, "-p", folder, "-c", f"{folder}/nginx.conf"],
                                     stderr=subprocess.DEVNULL)
            while proxy.poll() is None and not answers(port):
                time.sleep(0.01)
            if proxy.poll() is None:
                break
        else:
            print(pathlib.Path(folder, "error.log").read_text(), file=sys.stderr)
            sys.exit(1)

        def stop():
            proxy.terminate()
            server.terminate()

        in_front.serve(port, server.stdout, stop)
        proxy.terminate()
        proxy.wait()
        server.wait()


main()
