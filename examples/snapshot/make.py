#!/usr/bin/env python3
"""make.py URL REPO: fills a fresh Elasticsearch 7.17 node with a small web shop and takes two snapshots into REPO.

  shop-logs-2019.01, .02, .03  access logs, 600 lines each, best_compression
  shop-orders                  orders with nested items, routed by customer; changed as they are paid, sent and cancelled,
                               so that its segments are full of deleted documents
  shop-customers               `_source` leaves out password hashes: what a snapshot holds of it is not the whole document
Snapshots: nightly-2019.02.28 (without March), nightly-2019.03.31.
"""
import json
import os
import random
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "internal", "testbed", "search", "fixtures"))
from es import Es

url, repo = sys.argv[1:3]
es = Es(url)
rng = random.Random(2019)
NAMES = "김서연 이도윤 박지우 최하준 정수아 Ada Björn Chloé Dmitri Esra Femi Grace Hugo Ines Jun Kofi".split()
GOODS = [("우산", 12000), ("lamp", 35900), ("teapot", 28500), ("notebook", 4200), ("주전자", 41000), ("chair", 129000)]
PAGES = ["/", "/search", "/cart", "/checkout", "/login"] + ["/goods/%d" % i for i in range(1, 40)]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64) Firefox/65.0", "Mozilla/5.0 (iPhone; CPU iPhone OS 12_1 like Mac OS X)", "kube-probe/1.13"]


def customer(i):
    return "c%03d" % i


def email(i):
    return "%s%d@example.com" % (["kim", "lee", "park", "ada", "hugo"][i % 5], i)


def create(index, properties, codec="default", **mapping):
    es.call("PUT", "/" + index, {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0, "codec": codec, "refresh_interval": "30s",
                     "merge.policy.segments_per_tier": 20},
        "mappings": dict({"dynamic": False, "properties": properties}, **mapping)})


def flush(index, merge=False):
    if merge:
        es.call("POST", "/%s/_forcemerge?max_num_segments=1" % index)
    es.call("POST", "/%s/_flush" % index)


def source(doc):
    return json.dumps(doc, ensure_ascii=False, separators=(",", ":"))


def logs(month, days):
    index = "shop-logs-2019.%02d" % month
    create(index, {"@timestamp": {"type": "date"}, "clientip": {"type": "ip", "index": False}, "response": {"type": "short", "index": False}},
           "best_compression")
    lines = []
    for i in range(600):
        second = i * days * 86400 // 600 + rng.randint(0, 900)
        page, status = rng.choice(PAGES), rng.choice([200] * 17 + [302, 404, 500])
        doc = {"@timestamp": "2019-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
                   month, min(days, second // 86400 + 1), second // 3600 % 24, second // 60 % 60, second % 60, rng.randint(0, 999)),
               "clientip": "203.0.113.%d" % rng.randint(1, 254), "verb": "GET" if status != 302 else "POST", "request": page,
               "response": status, "bytes": rng.randint(200, 40000), "took_ms": round(rng.expovariate(1 / 30), 2),
               "agent": rng.choice(AGENTS)}
        if rng.random() < 0.4:
            doc["email"] = email(rng.randint(0, 119))
        lines.append(("index", {"_index": index}, source(doc)))
    es.bulk(lines)
    flush(index, merge=True)
    es.call("POST", "/_aliases", {"actions": [{"add": {"index": index, "alias": "shop-logs"}}]})


def order(i):
    who = i * 7 % 120
    items = [{"name": name, "price": price, "count": rng.randint(1, 3)} for name, price in rng.sample(GOODS, rng.randint(1, 3))]
    return {"order": 10000 + i, "customer": customer(who), "email": email(who), "status": "new", "items": items,
            "total": sum(item["price"] * item["count"] for item in items), "at": "2019-%02d-%02dT09:00:00Z" % (i // 100 + 1, i % 28 + 1)}


def orders(first, last):
    """New orders; then most of them are paid and sent, and some are cancelled and deleted."""
    def meta(i):
        return {"_index": "shop-orders", "_id": str(10000 + i), "routing": customer(i * 7 % 120)}
    for begin in range(first, last, 150):
        numbers = range(begin, min(last, begin + 150))
        es.bulk(("index", meta(i), source(order(i))) for i in numbers)
        flush("shop-orders")
        es.bulk(("update", meta(i), source({"doc": {"status": "paid"}})) for i in numbers if i % 3)
        es.bulk(("delete", meta(i), None) for i in numbers if i % 10 == 0)
        flush("shop-orders")
    es.bulk(("update", meta(i), source({"doc": {"status": "sent", "note": "문 앞에 놓아주세요" if i % 4 == 0 else None}}))
            for i in range(first, last) if i % 3 == 1 and i % 10)
    flush("shop-orders")


def customers():
    create("shop-customers", {"name": {"type": "keyword"}, "email": {"type": "keyword"}, "password_hash": {"type": "keyword", "index": False}},
           _source={"excludes": ["password_hash"]})
    es.bulk(("index", {"_index": "shop-customers", "_id": customer(i)}, source(
        {"name": NAMES[i % len(NAMES)], "email": email(i), "since": 2010 + i % 9, "password_hash": "%032x" % rng.getrandbits(128)}))
        for i in range(120))
    flush("shop-customers", merge=True)


def snapshot(name):
    reply = es.call("PUT", "/_snapshot/shop/%s?wait_for_completion=true" % name, {"indices": "shop-*"})["snapshot"]
    assert reply["state"] == "SUCCESS", reply
    print(name, reply["indices"])


es.call("PUT", "/_snapshot/shop", {"type": "fs", "settings": {"location": os.path.abspath(repo), "compress": True}})
es.call("PUT", "/_index_template/shop-logs", {"index_patterns": ["shop-logs-*"], "template": {"settings": {"number_of_replicas": 0}}})
create("shop-orders", {"status": {"type": "keyword"}, "at": {"type": "date"}, "total": {"type": "long", "index": False},
                       "items": {"type": "nested", "dynamic": False, "properties": {"name": {"type": "keyword"}}}},
       _routing={"required": True})
logs(1, 31)
logs(2, 28)
orders(0, 150)
snapshot("nightly-2019.02.28")
logs(3, 31)
orders(150, 300)
customers()
snapshot("nightly-2019.03.31")
for row in es.call("GET", "/_cat/indices/shop-*?format=json&s=index"):
    print(row["index"], row["docs.count"], "documents")
