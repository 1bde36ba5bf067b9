"""A page of `sinter inspect --format html`: tags balance, nothing is loaded from anywhere, there is
one step for each button. Run by formats.sh."""
import re
import sys
from html.parser import HTMLParser

VOID = {"meta", "input", "br", "hr", "link", "img"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.buttons, self.steps, self.marks, self.ids = [], 0, 0, set(), set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        for name in ("src", "href", "action", "data"):
            value = attrs.get(name, "#")
            assert value.startswith("#"), f"<{tag} {name}={value}>"
        classes = (attrs.get("class") or "").split()
        self.buttons += tag == "button"
        self.steps += "step" in classes
        self.marks |= set(classes) & {"add", "del"}
        if "svg" not in self.open and "id" in attrs:
            assert attrs["id"] not in self.ids, "id twice: " + attrs["id"]
            self.ids.add(attrs["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> inside {self.open[-3:]}"
        self.open.pop()


text = open(sys.argv[1], encoding="utf-8").read()
page = Page()
page.feed(text)
page.close()
assert not page.open, page.open
assert page.buttons == page.steps == 21, (page.buttons, page.steps)
assert page.marks == {"add", "del"}, page.marks
urls = [u for u in re.findall(r"https?://[^\s\"'<>]+", text) if "www.w3.org/" not in u]
assert not urls, urls
assert not re.search(r"url\(|@import|<script src", text)
assert "Ledger" in text and "Cost" in text
