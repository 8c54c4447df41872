"""Reads captures of TCP connections and says what their TLS client hellos have in common.

hellos.py SERVER-PORT FILE.pcap: one JSON object a connection: client and server address and port, the
hello's extensions, whether it offers an earlier session, and all of it that is not random, as a hash.
"""
import hashlib, json, struct, sys


def packets(path):
    data = open(path, "rb").read()
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack("<I", data[at + 8:at + 12])[0]
        yield data[at + 16:at + 16 + size]
        at += 16 + size


def hello_of(stream):
    """The hello's fields, or nothing while it is not complete."""
    if len(stream) < 9 or stream[0] != 22 or stream[5] != 1:
        return None
    size = int.from_bytes(stream[6:9], "big")
    if len(stream) < 9 + size:
        return None
    body = stream[9:9 + size]
    fixed = [body[:2]]
    at = 34
    session = body[at + 1:at + 1 + body[at]]
    at += 1 + len(session)
    ciphers = int.from_bytes(body[at:at + 2], "big")
    fixed.append(body[at:at + 2 + ciphers])
    at += 2 + ciphers
    fixed.append(body[at:at + 1 + body[at]])
    at += 1 + body[at]
    end = at + 2 + int.from_bytes(body[at:at + 2], "big")
    at += 2
    kinds = []
    while at < end:
        kind, length = struct.unpack(">HH", body[at:at + 4])
        value = body[at + 4:at + 4 + length]
        kinds.append(kind)
        # Of key shares the groups and sizes only.
        fixed.append(struct.pack(">H", kind) + (value[:6] if kind == 51 else value))
        at += 4 + length
    return {"extensions": kinds, "resumes": 41 in kinds, "names_server": 0 in kinds,
            "random": body[2:34].hex(), "session": session.hex(),
            "shape": hashlib.sha256(b"".join(fixed)).hexdigest()}


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    streams, done = {}, set()
    for packet in packets(path):
        ip = packet[14:]
        if len(ip) < 40 or ip[0] >> 4 != 4 or ip[9] != 6:
            continue
        tcp = ip[(ip[0] & 15) * 4:struct.unpack(">H", ip[2:4])[0]]
        source, target = struct.unpack(">HH", tcp[:4])
        if target != port:
            continue
        key = (".".join(map(str, ip[12:16])), source, ".".join(map(str, ip[16:20])), target)
        streams[key] = streams.get(key, b"") + tcp[(tcp[12] >> 4) * 4:]
        hello = hello_of(streams[key]) if key not in done else None
        if hello:
            done.add(key)
            print(json.dumps({"from": f"{key[0]}:{key[1]}", "to": f"{key[2]}:{key[3]}", **hello}))


main()
