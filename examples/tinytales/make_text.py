#!/usr/bin/env python3
"""Writes short English stories from a grammar.

    python3 make_text.py --seed 1 --stories 1000 -o stories.txt

Every story depends on (seed, index) alone, and the random numbers come from
the small generator below, so the same call writes the same bytes everywhere.
Stories are separated by one blank line; inside a story there is none.

Template language, used by every string handed to Tale.s():
    {x|y|z}   one of the alternatives (they nest; one may be empty)
    <a>       the value of slot a; <a.his> its attribute
    a^ word   "a word" or "an word", whichever is right
Sentence starts are made capital by themselves.
"""
import argparse
import re
import sys

MASK = (1 << 64) - 1


class Rng:
    """splitmix64"""

    def __init__(self, seed, index):
        self.x = seed & MASK
        self.x = self.next() ^ ((index * 0xD1B54A32D192ED03) & MASK)
        self.x = self.next()

    def next(self):
        self.x = (self.x + 0x9E3779B97F4A7C15) & MASK
        z = self.x
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, n):
        return (self.next() >> 11) * n >> 53

    def span(self, lo, hi):
        return lo + self.below(hi - lo + 1)

    def pick(self, seq):
        return seq[self.below(len(seq))]

    def chance(self, percent):
        return self.below(100) < percent

    def sample(self, seq, k):
        pool = list(seq)
        return [pool.pop(self.below(len(pool))) for _ in range(k)]


# ---------------------------------------------------------------- the words

def words(s):
    return [w.strip() for w in s.replace("\n", " ").split(",")]


GIRLS = words("Mia, Lily, Anna, Ruby, Ella, Zoe, Nora, Lucy, Rosa, Ivy, Maya, Emma, Clara, Lena, Molly, Hana, Amina, "
              "Sara, Nina, Daisy, Poppy, Freya, Elsie, Mabel, Alma, Greta, Olga, Priya, Leila, Yuki, Bella, Holly, "
              "Kate, June, Penny, Stella, Tara, Sofia")
BOYS = words("Tom, Ben, Max, Sam, Leo, Jack, Finn, Noah, Oscar, Theo, Milo, Hugo, Eli, Adam, Omar, Ravi, Kofi, Luca, "
             "Otto, Ned, Peter, Paul, Henry, Arthur, Felix, Ian, Karl, Dan, George, Toby, Rory, Kenji, Mateo, Ivan, "
             "Oliver, Ezra, Jasper, Victor")
PETS = words("Pip, Bruno, Hazel, Tilly, Bramble, Nutmeg, Dot, Fern, Rusty, Clover, Pebble, Willow, Ginger, Olive, "
             "Juniper, Misty, Barnaby, Pepper, Cocoa, Thistle, Scout, Marigold, Basil, Sorrel, Bluebell, Flint, "
             "Mossy, Tumble, Honey, Patch")
# kind, size 1..9, speed 1..9, home
ANIMALS = [
    ("mouse", 1, 5, "in a tiny hole under the barn"), ("frog", 1, 4, "beside a quiet pond"),
    ("robin", 1, 8, "in a nest above the garden"), ("sparrow", 1, 8, "in a nest under the roof"),
    ("mole", 2, 2, "in a tunnel under the field"), ("hedgehog", 2, 3, "under a pile of dry leaves"),
    ("squirrel", 2, 7, "high up in an oak tree"), ("kitten", 2, 6, "in a cottage by the lane"),
    ("duck", 3, 4, "among the reeds by the pond"), ("rabbit", 3, 8, "in a burrow under the hill"),
    ("hen", 3, 4, "in a small red henhouse"), ("tortoise", 3, 1, "at the end of the garden"),
    ("owl", 3, 7, "in a hollow tree"), ("goose", 4, 4, "on a farm near the river"),
    ("otter", 4, 6, "in a den by the river"), ("raccoon", 4, 5, "in an old log in the forest"),
    ("fox", 5, 8, "in a den at the edge of the forest"), ("badger", 5, 3, "in a deep den in the wood"),
    ("beaver", 5, 3, "in a house of sticks on the lake"), ("puppy", 4, 7, "on a farm behind the hill"),
    ("lamb", 5, 5, "in a green field"), ("goat", 6, 6, "on the side of a rocky hill"),
    ("pig", 6, 3, "in a sty on the farm"), ("donkey", 7, 4, "in a stable next to the mill"),
    ("deer", 7, 9, "deep in the forest"), ("pony", 7, 9, "in a stable on the farm"),
    ("bear", 8, 5, "in a warm cave"), ("elephant", 9, 3, "near a wide river"),
]
HOMES = words("in a small house by the sea, at the edge of a small town, in a yellow house on the hill, next to a bakery, "
              "on a farm, in a tall house near the station, in a village by the river, at the end of a long lane, "
              "in a flat above a shop, in a cottage beside the wood, in a busy town, in a quiet street")
ADJ = words("little, small, young, cheerful, curious, clever, quiet, lively, gentle, kind, friendly, busy, merry, careful, "
            "playful, patient, happy, thoughtful, bright")
ELDERS_P = [("Mum", "she", 1), ("Dad", "he", 1), ("Grandma", "she", 1), ("Grandpa", "he", 1), ("Aunt Rose", "she", 0),
            ("Uncle Joe", "he", 0), ("Mrs Hill", "she", 0), ("Mr Brown", "he", 0), ("Miss Green", "she", 0), ("Mr Stone", "he", 0)]
ELDERS_A = [("the old owl", "she"), ("the old tortoise", "he"), ("the wise badger", "he"), ("Grandmother Goose", "she"),
            ("the old toad", "he"), ("Mother Bear", "she"), ("Father Beaver", "he"), ("the grey heron", "she"),
            ("the old goat", "he"), ("the wise crow", "she")]
COLOURS = words("red, blue, green, yellow, orange, purple, pink, white, black, brown, silver, golden")
# noun, adjectives, play (past), play (base)
THINGS = [
    ("ball", "round, bouncy, shiny", "bounced it on the path", "bounce it on the path"),
    ("kite", "new, big, light", "flew it high in the sky", "fly it high in the sky"),
    ("drum", "new, loud, small", "tapped it with two sticks", "tap it with two sticks"),
    ("toy boat", "little, wooden, tiny", "let it float on the water", "let it float on the water"),
    ("toy car", "fast, shiny, little", "pushed it along the ground", "push it along the ground"),
    ("toy train", "wooden, long, old", "pulled it along behind {<a.him>|<a.his> back}", "pull it along"),
    ("scarf", "soft, warm, long", "wore it around <a.his> neck", "wear it around <a.his> neck"),
    ("hat", "woolly, soft, new", "wore it all morning", "wear it every day"),
    ("doll", "small, soft, old", "danced with it", "dance with it"),
    ("teddy bear", "soft, old, fluffy", "carried it everywhere", "carry it everywhere"),
    ("whistle", "small, tin, shiny", "blew it three times", "blow it"),
    ("bell", "little, bright, shiny", "rang it again and again", "ring it"),
    ("book", "thick, old, new", "read it in the shade", "read it in the shade"),
    ("basket", "big, small, strong", "swung it on <a.his> arm", "swing it on <a.his> arm"),
    ("umbrella", "big, new, long", "twirled it round and round", "twirl it round and round"),
    ("lantern", "small, old, bright", "swung it as <a.he> walked", "swing it"),
    ("flute", "wooden, thin, small", "played a soft tune on it", "play a tune on it"),
    ("spinning top", "little, wooden, striped", "watched it spin round and round", "watch it spin"),
    ("paintbrush", "thin, new, soft", "painted a picture with it", "paint with it"),
    ("marble", "round, shiny, smooth", "rolled it along the ground", "roll it along the ground"),
    ("button", "round, shiny, big", "held it up to the light", "hold it up to the light"),
    ("blanket", "soft, warm, thick", "spread it out on the grass", "lie on it"),
    ("bucket", "small, tin, new", "filled it with sand", "fill it with sand"),
    ("puppet", "funny, wooden, little", "made it dance and bow", "make it dance and bow"),
]
# name, at, to, spots
OUT = [
    ("the park", "at the park", "to the park", "under the bench, behind the big tree, next to the fountain, beside the gate, near the swings"),
    ("the garden", "in the garden", "to the garden", "under the apple tree, behind the shed, beside the roses, next to the wall, under the hedge"),
    ("the forest", "in the forest", "to the forest", "under the tall pine tree, behind a fallen log, on a flat rock, beside the path, among the ferns"),
    ("the beach", "at the beach", "to the beach", "behind a big rock, beside the sandcastle, under the pier, next to the boats, on the dry sand"),
    ("the meadow", "in the meadow", "to the meadow", "under the willow, beside the fence, among the tall flowers, on a tree stump, next to the stream"),
    ("the river", "by the river", "to the river", "under the bridge, on the wooden dock, beside the reeds, behind a round stone, next to the old boat"),
    ("the hill", "on the hill", "to the hill", "beside the lonely tree, on a flat stone, behind a bush, next to the stone wall, in the long grass"),
    ("the farm", "on the farm", "to the farm", "behind the barn, beside the haystack, under the cart, next to the well, near the duck pond"),
    ("the playground", "at the playground", "to the playground", "under the slide, beside the sandpit, next to the swings, behind the climbing frame, on the wooden bench"),
    ("the orchard", "in the orchard", "to the orchard", "under the pear tree, beside the ladder, behind the baskets, next to the gate, on the stone wall"),
    ("the pond", "by the pond", "to the pond", "beside the reeds, under the willow, on the little bridge, behind the mossy log, next to the duck house"),
]
IN = [
    ("the kitchen", "in the kitchen", "to the kitchen", "under the table, on the windowsill, behind the door, beside the stove, on the top shelf"),
    ("the attic", "in the attic", "to the attic", "inside the old trunk, behind the rocking chair, under the small window, beside the boxes, on a dusty shelf"),
    ("the barn", "in the barn", "to the barn", "behind the hay, beside the old cart, under the ladder, on a wooden box, next to the door"),
    ("the library", "in the library", "to the library", "under the desk, on the lowest shelf, beside the globe, behind the red curtain, next to the big chair"),
    ("the shed", "in the shed", "to the shed", "behind the spade, under the workbench, inside the watering can, on the top shelf, beside the flower pots"),
    ("the bedroom", "in the bedroom", "to the bedroom", "under the bed, behind the curtain, inside the wardrobe, on the chair, beside the lamp"),
]
# one, many, container
FOODS = [("apple", "apples", "basket"), ("pear", "pears", "basket"), ("plum", "plums", "bowl"), ("peach", "peaches", "bowl"),
         ("carrot", "carrots", "basket"), ("cookie", "cookies", "tin"), ("bun", "buns", "bag"), ("strawberry", "strawberries", "bowl"),
         ("cherry", "cherries", "bowl"), ("nut", "nuts", "bag"), ("muffin", "muffins", "tin"), ("pancake", "pancakes", "plate"),
         ("orange", "oranges", "bag"), ("tomato", "tomatoes", "basket"), ("cake", "cakes", "box"), ("banana", "bananas", "bag"),
         ("egg", "eggs", "basket"), ("lemon", "lemons", "bag"), ("mushroom", "mushrooms", "basket"), ("turnip", "turnips", "sack")]
COUNTS = [("shell", "shells", "bucket"), ("stone", "stones", "pocket"), ("feather", "feathers", "box"), ("button", "buttons", "jar"),
          ("marble", "marbles", "bag"), ("leaf", "leaves", "book"), ("acorn", "acorns", "pocket"), ("flower", "flowers", "basket"),
          ("pine cone", "pine cones", "bag"), ("crayon", "crayons", "box"), ("block", "blocks", "box"), ("book", "books", "bag"),
          ("sticker", "stickers", "box"), ("ribbon", "ribbons", "drawer"), ("bead", "beads", "jar"), ("stamp", "stamps", "tin")]
FRUIT = {"apple", "pear", "plum", "peach", "orange", "cherry", "lemon", "strawberry", "mushroom", "tomato", "carrot", "turnip", "nut"}
NUM = words("no, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen, "
            "sixteen, seventeen, eighteen, nineteen, twenty")
DAYS = words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
# name, opening adjective, sentences
WEATHER = {
    "sun": ("{sunny|bright|warm|fine}", ("the sun {shone|was shining} {brightly|in a blue sky|over the roofs|and the air was warm}.",
             "there was not a cloud in the sky.",
             "the air smelled of {flowers|warm grass|summer}.")),
    "rain": ("{rainy|wet|grey}", ("rain {tapped on the window|fell from dark clouds|made puddles in the road}.",
             "the sky was full of grey clouds.",
             "everything outside was wet.")),
    "wind": ("{windy|breezy}", ("the wind {blew through the trees|chased the clouds across the sky|pulled at hats and coats}.",
             "the leaves danced in the wind.")),
    "snow": ("{snowy|cold|frosty}", ("snow {lay on the ground|covered the roofs|fell softly}.",
             "the pond was frozen and the air was cold.",
             "everything was white and still.")),
}
GLAD = "{happy|glad|very happy|full of joy|so happy that <a.he> {danced|laughed out loud|clapped}|delighted|pleased}"
SAD = "{sad|very sad|unhappy|upset|so sad that <a.he> {began to cry|could not speak|sat down and sighed}}"


class Who:
    def __init__(self, name, he, kind=None, the=None):
        self.name, self.he, self.kind = name, he, kind
        f = he == "she"
        self.him, self.his, self.own = ("her", "her", "hers") if f else ("him", "his", "his")
        self.self = "herself" if f else "himself"
        self.the = the or name
        self.adj = ""
        self.rel = "friend"

    def __str__(self):
        return self.name


class Thing:
    def __init__(self, noun, adj, colour, did, do):
        self.noun, self.adj, self.colour, self.did, self.do = noun, adj, colour, did, do
        self.full = adj + " " + colour + " " + noun
        self.short = colour + " " + noun

    def __str__(self):
        return self.noun


class Place:
    def __init__(self, rec):
        self.name, self.at, self.to, spots = rec
        self.spots = words(spots)

    def __str__(self):
        return self.name


# ----------------------------------------------------------- the templates

CACHE = {}
TOKEN = re.compile(r"[{}|]|<[a-z0-9.]+>|[^{}|<]+")


def parse(text):
    node = CACHE.get(text)
    if node is None:
        toks = TOKEN.findall(text)
        if "".join(toks) != text:
            raise ValueError("bad template: " + text)
        node, end = parse_alts(toks, 0)
        if end != len(toks):
            raise ValueError("unbalanced template: " + text)
        CACHE[text] = node
    return node


def parse_alts(toks, i):
    alts, seq = [], []
    while i < len(toks):
        k = toks[i]
        if k == "{":
            sub, i = parse_alts(toks, i + 1)
            if i >= len(toks) or toks[i] != "}":
                raise ValueError("unbalanced template: " + "".join(toks))
            seq.append(sub)
        elif k == "}":
            break
        elif k == "|":
            alts.append(seq)
            seq = []
        elif k[0] == "<":
            seq.append(tuple(k[1:-1].split(".")))
        else:
            seq.append(k)
        i += 1
    alts.append(seq)
    return alts, i


FIRST = re.compile(r'^"?[a-z]')
START = re.compile(r'([.!?] |[.]" |[.!?]" (?="))("?)([a-z])')
QUOTE = re.compile(r'([,:] ")([a-z])')
AN = re.compile(r'\b([Aa])\^ ("?)([A-Za-z]+)')
NOT_AN = ("one", "use", "uni", "eu")


def article(m):
    w = m.group(3).lower()
    n = "n" if (w[0] in "aeiou" and not w.startswith(NOT_AN)) or w.startswith(("hour", "honest")) else ""
    return m.group(1) + n + " " + m.group(2) + m.group(3)


class Tale:
    def __init__(self, seed, index):
        self.r = Rng(seed, index)
        self.c = {}
        self.out = []
        self.names = set()
        self.people = self.r.chance(58)
        self.lines = self.r.chance(45)      # paragraphs on lines of their own
        self.digits = self.r.chance(10)     # numbers as digits
        self.weather = None
        self.kinds = set()

    # -- text
    def fill(self, text):
        got = []
        self._walk(parse(text), got)
        return "".join(got)

    def _walk(self, alts, got):
        for part in alts[0] if len(alts) == 1 else alts[self.r.below(len(alts))]:
            if type(part) is str:
                got.append(part)
            elif type(part) is tuple:
                v = self.c[part[0]]
                for attr in part[1:]:
                    v = getattr(v, attr)
                v = str(v)
                if "<" in v or "{" in v:
                    self._walk(parse(v), got)
                else:
                    got.append(v)
            else:
                self._walk(part, got)

    def s(self, *alts):
        """adds one of the alternatives"""
        text = self.fill(self.r.pick(alts))
        if text:
            self.out.append(FIRST.sub(lambda m: m.group(0).upper(), text, 1))

    def maybe(self, percent, *alts):
        if self.r.chance(percent):
            self.s(*alts)

    def p(self):
        if self.out and self.lines and self.out[-1] != "\n":
            self.out.append("\n")

    def say(self, who, text, how=None, adv=None):
        """direct speech; text ends in . ! or ?"""
        text = self.fill(text)
        end, w = text[-1], self.c[who]
        if how is None:
            how = {".": "said", "?": "asked", "!": "{cried|called|shouted|said}"}[end]
        how = self.fill(how)
        adv = (" " + self.fill(adv) if self.r.chance(70) else "") if adv else ""
        q = text[:-1] + "," if end == "." else text
        k = self.r.below(6)
        if k == 0:
            line = '%s %s%s, "%s"' % (w.name, how, adv, text)
        elif k == 1:
            line = '"%s" %s %s%s.' % (q, w.name, how, adv)
        else:
            line = '"%s" %s %s%s.' % (q, how, w.the if k == 2 else w.name, adv)
        # the first letter inside quotes is capital
        self.out.append(FIRST.sub(lambda m: m.group(0).upper(), line, 1))

    def text(self):
        s = " ".join(self.out)
        s = s.replace(" \n ", "\n").replace(" \n", "\n").strip()
        s = AN.sub(article, s)
        s = re.sub(r"  +", " ", s)
        s = QUOTE.sub(lambda m: m.group(1) + m.group(2).upper(), s)
        return START.sub(lambda m: m.group(1) + m.group(2) + m.group(3).upper(), s)

    # -- cast
    def who(self, key, kind=None, adj=True, he=None):
        r = self.r
        if self.people:
            he = he or r.pick(("she", "he"))
            other = [w for w in self.c.values() if isinstance(w, Who)]
            if other and r.chance(60) and key in "bc":
                he = "he" if other[0].he == "she" else "she"
            pool = GIRLS if he == "she" else BOYS
            kind = "girl" if he == "she" else "boy"
        else:
            he = he or r.pick(("she", "he"))
            pool = PETS
            if kind is None:
                kind = r.pick(ANIMALS)[0]
                while kind in self.kinds:
                    kind = r.pick(ANIMALS)[0]
        name = r.pick(pool)
        while name in self.names or any(name[:2] == n[:2] for n in self.names):
            name = r.pick(pool)
        self.names.add(name)
        for w in self.c.values():
            if isinstance(w, Who) and self.people and w.kind == kind:
                w.the = w.name
        the = name if self.people and (kind in self.kinds or key != "a") else "the " + kind
        if self.people and key == "a" and r.chance(70):
            the = name
        self.kinds.add(kind)
        w = Who(name, he, kind, the)
        w.adj = r.pick(ADJ) if adj else ""
        w.home = next((a[3] for a in ANIMALS if a[0] == kind), None) or r.pick(HOMES)
        w.rel = r.pick(("friend", "friend", "best friend", "neighbour", "cousin") if self.people else ("friend", "friend", "neighbour"))
        if self.people and r.chance(25) and key == "b":
            w.rel = r.pick(("little ", "big ", "")) + ("brother" if he == "he" else "sister")
        w.one = "<%s>" % key if key == "a" or not self.people else name
        self.c[key] = w
        if key == "b":
            w.intro = ("<a.his> %s <b>" % w.rel) if self.people or r.chance(40) else "<a.his> %s <b> the %s" % (w.rel, kind)
        return w

    def elder(self, key="g"):
        r = self.r
        if self.people:
            n, he, kin = r.pick(ELDERS_P)
        else:
            n, he = r.pick(ELDERS_A)
            while n.split()[-1].lower() in self.kinds:
                n, he = r.pick(ELDERS_A)
        w = Who(n, he, n, n)
        self.c[key] = w
        return w

    def thing(self, key="o", among=None, adj=True):
        r = self.r
        rec = r.pick([x for x in THINGS if among is None or x[0] in among])
        a = words(rec[1])
        t = Thing(rec[0], r.pick(a), r.pick(COLOURS), rec[2], rec[3])
        self.c[key] = t
        return t

    def place(self, key="pl", out=True, avoid=None):
        r = self.r
        rec = r.pick(OUT if out else IN)
        while avoid is not None and rec[0] == avoid.name:
            rec = r.pick(OUT if out else IN)
        p = Place(rec)
        self.c[key] = p
        sp = r.sample(p.spots, 3)
        self.c["s1"], self.c["s2"], self.c["s3"] = sp
        return p

    def put(self, **kw):
        self.c.update(kw)

    def n(self, k):
        return str(k) if self.digits and k > 0 else NUM[k]

    def cnt(self, k, item):
        return self.n(k) + " " + (item[0] if k == 1 else item[1])

    # -- common parts
    def day(self, weather=None):
        r = self.r
        w = weather or r.pick(("sun", "sun", "sun", "wind", "rain", "snow"))
        self.weather = w
        self.put(w=WEATHER[w][0], time=r.pick(("morning", "morning", "afternoon", "day")))
        return w

    def sky(self, percent=45):
        if self.weather and self.r.chance(percent):
            self.s(*WEATHER[self.weather][1])

    def intro(self):
        self.s("once upon a time, there was a^ <a.adj> <a.kind> named <a>.",
               "once upon a time, there was a^ <a.kind> {named|called} <a>. <a> lived <a.home>.",
               "once upon a time, a^ <a.adj> <a.kind> named <a> lived <a.home>.",
               "<a> was a^ <a.adj> <a.kind>{ who lived <a.home>|}.",
               "there once was a^ <a.kind> {named|called} <a>{, who lived <a.home>|}.",
               "<a> the <a.kind> lived <a.home>." if not self.people else "<a> lived <a.home> with <a.his> {mum and dad|family|grandma|mum|dad}.",
               "this is the story of a^ <a.adj> <a.kind> named <a>.",
               "{long ago|many years ago|not long ago}, there was a^ <a.adj> <a.kind> named <a>, who lived <a.home>.",
               "a^ <a.adj> <a.kind> named <a> lived <a.home>.")
        if self.r.chance(32):
            self.aside()

    def aside(self):
        """something more about the one the story is about"""
        r = self.r
        self.put(acol=r.pick(COLOURS), food=r.pick(FOODS)[1], anum=self.n(r.span(2, 6)), age=self.n(r.span(5, 9) if self.people else r.span(2, 6)))
        self.s("<a> liked {<food>|the colour <acol>|stories|riddles|to sing|to hum|long walks} {best of all|more than anything else}.",
               "everyone {liked|knew} <a>, because <a.he> was always {cheerful|friendly|polite|ready to help|full of ideas}.",
               "<a.he> was <age> years old.", "<a.he> had {a soft voice|a loud laugh|quick feet|a good memory|a thousand questions|many friends|a kind heart}.",
               "people said that nobody could {whistle|sing|climb|laugh|count|listen} as well as <a>." if self.people else "the others said that nobody could {sing|dig|climb|laugh|count|listen} as well as <a>.",
               "<a> always wore a^ <acol> {coat|hat|jumper}." if self.people else "<a> had a^ <acol> door with a {bell|lamp|star} on it.",
               "<a> had {brown|black|red|fair} hair and {green|brown|blue|grey} eyes." if self.people else "<a> had {soft brown|dark|bright|kind|big round} eyes.",
               "<a> had <anum> cousins and a {cat|dog} {called|named} {Socks|Whiskers|Captain|Shadow}." if self.people else "<a> lived with <anum> brothers and sisters.",
               "every morning, <a> {fed the birds|swept the step|made the bed|ate a bowl of porridge|looked out of the window}." if self.people
               else "every morning, <a> {washed <a.his> face|stretched and yawned|looked up at the sky|said hello to the sun}.")

    def way(self, percent=35):
        """something seen or heard on the way"""
        if self.r.chance(percent):
            r = self.r
            self.put(acol=r.pick(COLOURS), anum=self.n(r.span(2, 7)))
            self.s("on the way, there was {a cat asleep on a wall|a^ <acol> cart with one wheel|a puddle as big as a table|a scarecrow with a^ <acol> hat|a smell of fresh bread}.",
                   "<anum> {swans|birds|wild geese|pigeons} {flew over the road|sat on a fence}.",
                   "the road went {up and then down|past a mill|past an old church|between two fields|along a^ {old|low|stone} wall}.",
                   "somewhere {a bell rang|a dog barked|a bird sang|someone was chopping wood|a cock crowed|a door creaked}.")

    def moral(self, percent, *alts):
        if self.r.chance(percent):
            self.p()
            self.s(*alts)

    def close(self, percent=35):
        if self.r.chance(percent):
            self.s("that {night|evening}, <a> {fell asleep with a smile|slept very well|went to bed happy|thought about the day and smiled}.",
                   "it had been a {good|lovely|wonderful|long but good} day.",
                   "<a> {never forgot|would never forget} that day.",
                   "and <a> {smiled|laughed|was happy} all the way home.",
                   "when the {stars came out|moon rose|sun went down}, <a> was {warm and happy|tired but happy} at home.")


# ------------------------------------------------------------- the stories

def lost(t):
    r = t.r
    t.who("a"); t.who("b"); t.elder(); o = t.thing(); t.place(); t.day(r.pick(("sun", "wind", "sun")))
    t.put(why=r.pick(("climb a tree", "chase a butterfly", "eat lunch", "pick some flowers", "watch the ducks",
                      "play with a friendly dog", "build a tower of stones", "look at a snail", "drink some water")))
    t.intro()
    t.s("<a> had a^ <o.full>{ and loved it very much|}.", "<a>'s favourite thing {in the world|} was a^ <o.full>.",
        "for <a.his> birthday, <a> got a^ <o.full>.", "<a> {owned|had} a^ <o.full> that <a.he> took everywhere.")
    t.p()
    t.s("one <w> <time>, <a> took the <o> <pl.to> and <o.did>.", "one <w> <time>, <a.he> went <pl.to> with the <o>. <a> <o.did>.")
    t.sky()
    t.s("{then|after a while|soon} <a.he> wanted to <why>, so <a.he> {put|left|laid} the <o> <s1>.",
        "but then <a.he> wanted to <why>. <a.he> put the <o> <s1> {so that it would be safe|and ran off|for a little while}.")
    t.s("when it was time to go home, <a> {forgot all about the <o>|ran off without the <o>|did not think of the <o>}.",
        "{it got late|the sun went down}, and <a> {went|ran|walked} home without the <o>.")
    t.p()
    t.s("at home, <a> looked for the <o>, but it was {gone|not there|nowhere to be seen}. <a.he> was " + SAD + ".",
        "{that evening|later}, <a> wanted to have the <o> again. but where was it? <a> felt {sad|cold with worry|worried}.")
    t.say("a", "{I have lost my <o>!|my <o> is gone!|oh no, where is my <o>?}")
    t.p()
    h = r.pick(("b", "g"))
    t.put(h=t.c[h])
    t.say(h, "{where did you last have it?|where did you see it last?|when did you last hold it?}")
    t.say("a", "{I had it <pl.at>.|I think it was <pl.at>.|I took it <pl.to>.}")
    t.say(h, "{then let us go and look.|then we must look there.|let us go back <pl.to>.}", adv="{kindly|with a smile|gently}")
    t.s("so {they|<a> and <h>} went back <pl.to>{ together|}.")
    t.way(25)
    t.s("they looked <s2>, but the <o> was not there.", "first they looked <s2>. {no <o>|there was nothing there|it was not there}.")
    t.maybe(60, "they looked <s3>, but {it was not there either|there was no <o> there}.", "then they looked <s3>. {nothing|still no <o>}.")
    t.s("{then|at last|suddenly} <a> remembered. {\"I wanted to <why>, and I put it <s1>!\"|\"I put it <s1>!\" <a.he> {cried|shouted}.}",
        "<a> {stood still and thought|closed <a.his> eyes and thought hard}. \"I put it <s1>!\" <a.he> {cried|said}.")
    t.s("{<a> ran to look|they looked}, and there was the <o.short>, {just|right} <s1>.",
        "and {yes|there it was}! the <o.short> was <s1>, {safe and dry|just where <a.he> had left it}.")
    t.s("<a> was " + GLAD + ".", "<a> {hugged|held} the <o> {tightly|with both arms}. <a.he> was {so|very} happy.")
    t.maybe(50, "\"thank you{, <h>,|} for helping me,\" <a.he> said.")
    t.moral(60, "from that day on, <a> {always put|never forgot to put} <a.his> things {away|back in their place}.",
            "after that, <a> always looked around before <a.he> went home.",
            "when you lose something, think about where you had it last.")
    t.close(25)


TASKS = [
    ("water the flowers", "watered the flowers", "the flowers were tall and {bright|full of colour}", "the flowers {hung their heads|were dry and brown}", "gave them {plenty of|cool} water, and in a few days they {stood up again|were bright again}", "forget the water"),
    ("feed the hens", "fed the hens", "the hens had laid {three|four|five|six} fresh eggs", "the hens were hungry and {would not lay any eggs|made a terrible noise}", "gave them two big bowls of corn, and soon they were {calm|happy} again", "forget the corn"),
    ("shut the gate", "shut the gate", "all the sheep were {safe|still} in the field", "the sheep had {run out of the field|walked out onto the road}", "ran after the sheep and brought them back one by one", "forget the gate"),
    ("bring back the ladder", "brought back the ladder", "the roof could be mended before the rain", "the roof could not be mended, and rain came {in|through the hole}", "carried the ladder back and helped to mend the roof", "forget the ladder"),
    ("cover the wood pile", "covered the wood pile", "the wood was dry and the fire burned {well|bright and warm}", "the wood was wet and the fire would not burn", "carried the wood inside and {laid it by the stove to dry|dried it piece by piece}", "forget the wood"),
    ("keep the surprise a secret", "kept the secret", "the party was a {wonderful|big} surprise", "everyone knew about the surprise before the party", "baked a {new cake|big cake} and planned a new surprise", "tell the secret"),
    ("come home before dark", "came home before dark", "supper was still {hot|warm} on the table", "supper was cold and everyone {was worried|was out looking with lanterns}", "washed all the dishes and came home early every day that week", "forget the time"),
    ("look after the little chick", "looked after the little chick", "the chick was {warm and fed|fluffy and happy}", "the chick had {run away|gone} and nobody could find it", "searched until <a.he> found the chick under the hedge, and gave it some seeds", "forget the chick"),
]
TEMPT = ["a friend came by with a new game", "the sun was warm and the grass was soft", "there was music in the village",
         "the other children were playing by the stream", "a big {parade|circus} came through the village", "<a.he> found a very good book"]


def promise(t):
    r = t.r
    t.who("a"); t.elder(); kept = r.chance(50)
    task = r.pick(TASKS)
    t.put(do=task[0], did=task[1], good=task[2], bad=task[3], fix=task[4], forget=task[5], tempt=r.pick(TEMPT if t.people else [x.replace("children", "animals") for x in TEMPT]))
    t.intro()
    t.p()
    t.s("one day, <g> {had to go away|went to town|had to visit a sick friend|went on a short trip}.", "one morning, <g> came to <a> and asked for help.")
    t.say("g", "will you <do> {for me|today|while I am busy}?" if r.chance(60) else "can you promise to <do>?")
    t.say("a", "{yes, I promise.|I promise.|of course, I promise!|yes, I will do it.}")
    t.s("a promise is a promise, and <g> {trusted <a>|went away with a light heart|smiled}.", "<g> {thanked <a.him>|nodded and left|was glad to hear it}.", "")
    t.p()
    t.s("{soon|a little later|but then}, <tempt>.", "but that {day|afternoon}, <tempt>.")
    t.say("a", "{I will just go for a little while.|the work can wait.|I can do it later.}" if not kept else "{first I must do what I promised.|I have a promise to keep.|work first, play later.}", how="{thought|said}")
    if kept:
        t.s("so <a> <did>{ first|, even though it was hard to wait|}. {only then|after that} <a.he> went to {play|have fun}.",
            "<a.he> took a deep breath and <did>. {only then did <a.he> go out|after that <a.he> was free}.")
        t.p()
        t.s("when <g> came {home|back}, <good>.", "that evening <g> came back and saw that <good>.")
        t.say("g", "{you kept your promise.|thank you, I knew that I could trust you.|well done, <a>!|you did just what you said.}", adv="{proudly|with a big smile|warmly}")
        t.s("<a> felt {proud|proud and happy|warm inside}.", "<a> {smiled from ear to ear|stood very tall}.")
        t.maybe(45, "as a thank you, <g> gave <a.him> a {warm bun|piece of cake|big hug|small silver bell|ripe red apple}.")
        t.moral(60, "{a kept promise makes two people happy|when you keep a promise, people trust you|first the work, then the play}.",
                "<a> had learned that keeping a promise feels {good|better than any game}.")
    else:
        t.s("so <a.he> {went off to play|ran outside} and {forgot {all about |}<a.his> promise|did not think of <a.his> promise again}.",
            "hour after hour went by, and <a> {forgot|did not think of} <a.his> promise.")
        t.p()
        t.s("when <g> came {home|back}, <bad>.", "in the evening, <g> came back and saw that <bad>.")
        t.say("g", "{what happened?|did you forget your promise?|oh <a>, you promised.}", adv="{sadly|quietly}")
        t.s("<a> felt {ashamed|very sorry|bad}. {\"I am sorry,\" <a.he> said. |}\"I did <forget>. {it was wrong of me|it is my fault|I broke my promise}.\"")
        t.s("{at once|the very next morning|right away}, <a.he> <fix>.", "<a.he> wanted to make it right. <a.he> <fix>.")
        t.say("g", "{thank you for making it right.|I am glad that you told the truth.|now I can trust you again.|I forgive you.}")
        t.moral(65, "after that, <a> never broke a promise again.", "{next time|the next time <a.he> made a promise}, <a> kept it.",
                "a promise is easy to {make|give} and hard to keep, but it {is worth it|must be kept}.")


BREAK = [("vase", "table", "glued the pieces together"), ("cup", "shelf", "glued the handle back on"), ("flower pot", "windowsill", "found a new pot and planted the flower again"),
         ("toy boat", "chair", "put a new mast on the boat"), ("picture frame", "wall", "put new wood around the picture"), ("music box", "shelf", "fixed the little spring inside"),
         ("wooden horse", "table", "glued the leg back on"), ("snow globe", "desk", "made a new one out of a jar")]


def broken(t):
    r = t.r
    t.who("a"); t.who("b")
    item = r.pick(BREAK)
    owner = r.pick(("b", "g")); t.elder(); t.put(h=t.c[owner], x=item[0], on=item[1], mend=item[2], col=r.pick(COLOURS))
    t.thing("o", ("ball", "hat", "toy car", "whistle", "scarf", "drum", "kite"))
    hide = r.chance(45)
    t.intro()
    t.s("<h> had a^ {beautiful|lovely|pretty|fine} <col> <x>. it {stood|was always} on the <on>." if item[1] != "wall" else "<h> had a^ {beautiful|lovely|pretty|fine} <col> <x>. it hung on the wall.",
        "on the <on> there was a^ <col> <x>. it belonged to <h>, who {loved it|was very fond of it}.")
    t.p()
    t.s("one {rainy|wet|grey} day, <a> played inside with a^ <o.short>. {<a.he> ran too fast|<a.he> jumped up and down|<a.he> did not look where <a.he> was going}.",
        "{\"do not play near the <on>,\" <h> had said. but|one afternoon,} <a> {ran|danced|jumped} around with <a.his> <o.short>.")
    t.s("{crash|bang|bump}! the <x> fell {down|to the floor} and broke{ into {two|three|many} pieces|}.",
        "<a.he> bumped into the <on>, and {crash|down} went the <x>! it broke{ in two| into pieces}.")
    t.s("<a> {felt cold all over|stood very still|felt terrible}.", "<a>'s heart {beat fast|sank}.", "")
    t.p()
    if hide:
        t.s("<a.he> {pushed the pieces under the {rug|sofa}|hid the pieces in a box} and {said nothing|ran away|told nobody}.")
        t.s("{but|all day} <a.he> felt {bad|worse and worse}. <a.he> could not {eat|play|sleep} because of the <x>.",
            "soon <h> came in. \"where is my <x>?\" {<h.he>|<h>} asked. <a> looked at the floor and {felt bad|felt <a.his> face go red}.")
        t.s("at last <a.he> could not {bear it|hide it} {any more|any longer}.", "in the end, <a> went to <h>.", "")
        t.say("a", "{I broke your <x> and I hid it. I am sorry.|I must tell you the truth. I broke your <x>.}", how="said", adv="{with tears in <a.his> eyes|in a small voice|quietly}")
        t.s("<h> was {sad|quiet for a moment}. {\"I am sad about the <x>,\" <h.he> said. \"but I am glad that you told me.\"|\"hiding it made it worse,\" <h.he> said, \"but telling the truth makes it better.\"}")
    else:
        t.s("<a.he> {wanted to hide|wanted to run away}, but <a.he> {knew that was wrong|did not}. <a.he> went {straight|right} to <h>.",
            "it would have been easy to hide the pieces. but <a> went to <h>.")
        t.say("a", "{I am sorry, I broke your <x>.|I was not careful, and your <x> is broken.|it was me. I broke your <x>.}", how="said")
        t.s("<h> {looked at the pieces|sighed}. {\"thank you for telling me the truth,\" <h.he> said.|\"I am sad, but I am not angry,\" <h.he> said. \"you told the truth.\"}",
            "<h> was {sad|upset} at first, but then <h.he> {smiled a little|put an arm around <a>}. \"you were brave to tell me,\" <h.he> said.")
    t.p()
    t.say("a", "{can we mend it?|can I help to mend it?|let us try to fix it.}")
    t.s("together they <mend>.", "they sat down together and <mend>.", "so <a> and <h> worked {all afternoon|for an hour}. they <mend>.")
    t.s("the <x> {was not quite the same|had a thin line down the side}, but {<h> liked it even more|it was good again}." if item[0] in ("vase", "cup", "wooden horse") else "soon everything was {good|fine|almost as good as new} again.",
        "<h> {was happy again, and so was <a>|smiled, and so did <a>}.")
    t.moral(60, "{telling the truth can be hard, but it is always best|the truth makes a heavy heart light|a mistake can be mended if you are honest}.",
            "after that, <a> {always played outside with the <o>|was more careful inside}.")
    t.close(15)


def share(t):
    r = t.r
    t.who("a"); t.who("b"); f = r.pick(FOODS); t.place(); t.day("sun")
    n = r.span(2, 9); k = r.span(1, n - 1) if r.chance(60) else (n // 2 if n % 2 == 0 else 1)
    t.put(n=t.cnt(n, f), k=t.n(k), kc=t.cnt(k, f), left=t.n(n - k), leftc=t.cnt(n - k, f), fs=f[1], f=f[0], box=f[2], f1=f[0])
    if r.chance(35):
        t.s("<a> had <n>.", "<a> had <n> in a {small|big} <box>.")
        t.s("<a.he> was a^ <a.adj> <a.kind>{, and <a.he> loved <fs>|}. one <w> <time>, <a.he> {took|carried} them <pl.to>.")
    else:
        t.intro()
        t.s("one <w> <time>, <a> {went|walked} <pl.to> with a <box>. in the <box> there were <n>." if n > 1 else "")
    t.p()
    t.s("{on the way|<pl.at>|there}, <a.he> {met|saw} <b.intro>. <b> {looked sad|looked hungry|was sitting all alone <s1>}.")
    t.say("a", "{what is wrong?|what is the matter, <b>?|why do you look so sad?}")
    t.say("b", "{I am hungry and I have nothing to eat.|I forgot my lunch.|I dropped my food in the mud.|my {bag|basket} was empty.}")
    if r.chance(70):
        t.s("<a> {thought for a moment|did not think twice|looked at <a.his> <fs>}. \"{here|you can have some of mine},\" <a.he> said.",
            "\"{please take some|then we will share},\" {said <a>|<a.he> said}.")
        t.s("<a> gave <b> <kc>. now <b> had <kc> and <a> had <left>{ left|}.",
            "<a.he> gave <kc> to <b>. <n> take away <k> is <left>, so <a> had <leftc> left." if not (n == 1) else "")
        t.s("they sat down <s2> and ate {together|side by side}.", "the <fs> tasted {better|even better} when they ate them together.")
        t.s("<b> {felt much better|was not hungry any more|began to smile}. \"thank you,\" {<b.he> said|said <b>}.")
        t.p()
        t.s("the next day, it was <a> who had {nothing to eat|forgotten <a.his> lunch}. but <b> {came|ran up} with a {warm pie|big loaf of bread|pot of soup|bag of nuts}. \"now I can share with you,\" <b.he> said.",
            "from {then|that day} on, {they shared everything|<a> and <b> were the best of friends}.",
            "\"you are a {good|true} friend,\" said <b>, and <a> felt warm inside.")
        t.moral(50, "{when you share, there is enough for two|sharing makes food taste better|a shared lunch makes a happy friend}.")
    else:
        t.s("\"{these are all mine|I want them all for myself},\" said <a>, and <a.he> {held the <box> tightly|turned away}.")
        t.s("<a> ate one <f>, then another, until all <nn> were gone.".replace("<nn>", t.n(n)) if n > 2 else "<a> ate {both <fs>|them both}, one after the other." if n == 2 else "<a> ate it.")
        t.s("but now <a.his> tummy hurt, and <b> had gone {away|home} {sad|hungry}. <a> {felt lonely|did not feel happy at all}.")
        t.p()
        t.s("the next {day|morning}, <a> {filled the <box> again|brought a full <box>} and {ran|went} to find <b>. \"{I am sorry|I was not kind yesterday},\" <a.he> said. \"{this time we will share|half of these are for you}.\"")
        t.s("<b> {smiled|was happy}, and they ate together.", "<b> forgave <a.him>, and they {sat <s2> and |}ate together.")
        t.moral(60, "{food tastes best when it is shared|too much for one can be just enough for two|it is better to share than to eat alone}.")


def count(t):
    r = t.r
    t.who("a"); t.who("b"); t.elder(); food = r.chance(60); f = r.pick(FOODS if food else COUNTS); t.place()
    cur = r.span(1, 10)
    t.put(x=f[0], xs=f[1], box=f[2], n=t.cnt(cur, f), h=t.c[r.pick("bg")])
    k = r.below(10)
    if k < 5:
        t.s("<a> had <n>.", "<a> had <n> in {<a.his>|a} <box>.")
    elif k < 7:
        t.intro(); t.s("<a> {had|owned} <n>.")
    else:
        t.s("one {morning|day|afternoon}, <a> had <n>{ in <a.his> <box>|}.", "<a> the <a.kind> had <n>." if not t.people else "a^ <a.kind> named <a> had <n>.")
    if k < 5 and r.chance(50):
        t.s("<a.he> {kept them|carried them} in a^ {old|small|round|big} <box>." if cur > 1 else "<a.he> {kept it|carried it} in a^ {old|small|round|big} <box>.",
            "<a.he> {loved|liked} <xs> more than anything.")
    steps = r.span(2, 4)
    used = set()
    fresh = f[0] in FRUIT or not food and f[0] in ("shell", "stone", "feather", "leaf", "acorn", "flower", "pine cone")
    for i in range(steps):
        add = r.chance(55) if 1 < cur < 16 else cur <= 1
        m = r.span(1, 6 if cur <= 14 else 20 - cur) if add else r.span(1, min(cur, 6) if i == steps - 1 else max(1, min(cur - 1, 6)))
        new = cur + m if add else cur - m
        one = m == 1
        t.put(m=t.n(m), mc=t.cnt(m, f), mm=t.n(m) + (" more" if add else ""), new=t.cnt(new, f), newn=t.n(new), cur=t.n(cur))
        if add:
            opts = ["<h> gave <a.him> <mm>.", "<a.he> {bought|got} <mm> at the {market|shop}.", "\"here {%s},\" said <h>, and gave <a.him> <mm>." % ("is one more for you" if one else "are some more for you")]
            if fresh:
                opts += ["<a.he> {found|picked} <mm> <pl.at>.", "<a.he> went <pl.to> and {found|picked} <mm>.", "<s1> <a.he> found <mm>.", "then <a.he> {picked|found} <mm>."]
            elif food:
                opts += ["then <a.his> grandma {baked|brought} <mm>.", "then {there were <mm> on|<a.he> took <mm> from} the kitchen table." if not one else "then <a.he> took <mm> from the kitchen table."]
            else:
                opts += ["then <a.he> found <mm> in a drawer.", "on <a.his> birthday, <a.he> got <mm>."]
        else:
            opts = ["<a.he> gave <m> to <h>.", "<a.he> gave <h> <mc>.", "then <a.he> lost <m>%s." % (" of them" if cur > 1 else ""), "<h> asked for <m>, and <a> gave %s away." % ("it" if one else "them"),
                    "<m> fell {out of the <box>|into the {river|stream}} and {rolled away|{was|were} gone}.".replace("{was|were}", "was" if one else "were").replace("{out of the <box>|into the {river|stream}} and {rolled away|" + ("was" if one else "were") + " gone}", "out of the <box> and rolled away")]
            if food:
                opts += ["<a.he> ate <m>%s." % (" of them" if cur > 1 else ""), "<a.he> was hungry, so <a.he> ate <m>.", "a hungry {crow|dog|goat} came and ate <m>%s." % (" of them" if cur > 1 else "")]
        opts = [x for x in opts if x not in used] or opts
        o = r.pick(opts); used.add(o)
        t.s(o)
        q = r.below(8)
        if new == 0:
            t.s("now <a.he> had {no <xs> left|none left}.", "now {the <box> was empty|there were none left}.")
        elif q < 4:
            t.s("now <a.he> had <new>.", "now <a> had <new>%s." % ("" if add else " left"), "so <a.he> had <new>%s." % (" now" if add else " left"))
        elif q < 6:
            t.s("<cur> and <m> make <newn>, so now <a.he> had <new>." if add else "<cur> take away <m> is <newn>, so <a.he> had <new> left.")
        else:
            t.p()
            w = r.pick("bg"); t.put(z=t.c[w])
            t.say(w, "{how many <xs> do you have now?|how many do you have now?|how many <xs> are there now?}")
            t.s("<a> counted {them|slowly|on <a.his> fingers}. \"{<newn>|I have <new>},\" <a.he> {said|answered}." if new > 1 else "\"only one,\" <a> answered.")
            t.p()
        cur = new
    t.p()
    t.put(new=t.cnt(cur, f) if cur else "no " + f[1], tail="them" if cur > 1 else "it")
    if cur == 0:
        t.s("but <a> {did not mind|was not sad}. \"tomorrow I will {find|get} some more,\" <a.he> said.", "\"all gone!\" {said <a> and laughed|laughed <a>}.")
    elif food:
        t.s("<a> {took|carried} the <new> home and {ate <tail> with <h>|put <tail> on the table}.", "\"<new>, {that is enough for a {feast|pie}|how nice},\" said <a>." if cur > 2 else "\"{that is just right for me|that is enough for today},\" said <a>.")
    else:
        t.s("<a> put the <new> {back in the <box>|away in a safe place|in the <box> and went home}.", "<a> looked at the <new> and {smiled|was proud}.")
    t.close(35)


def need(t):
    """difference: needs n, has k"""
    r = t.r
    t.who("a"); t.who("b"); t.elder(); t.day("sun"); t.place()
    what, f = r.pick([("a pie", FOODS[0]), ("a plum cake", FOODS[2]), ("a cherry pie", FOODS[8]), ("a pot of jam", FOODS[7]), ("carrot soup", FOODS[4]), ("a big pancake", FOODS[16]),
                      ("a jug of lemonade", FOODS[17]), ("tomato soup", FOODS[13]), ("mushroom soup", FOODS[18]), ("a shell necklace", COUNTS[0]), ("a toy tower", COUNTS[10]),
                      ("a crown of flowers", COUNTS[7]), ("a string of beads", COUNTS[14]), ("a stone circle", COUNTS[1]), ("a leaf picture", COUNTS[5])])
    n = r.span(3, 12); k = r.span(1, n - 1)
    t.put(what=what, xs=f[1], n=t.cnt(n, f), nn=t.n(n), k=t.cnt(k, f), kk=t.n(k), d=t.n(n - k), dc=t.cnt(n - k, f), box=f[2], verb="cook" if "soup" in what else "make")
    t.intro()
    t.s("one <w> <time>, <a> wanted to <verb> <what> for <g>.", "one <w> <time>, <a> and <b> {planned|decided} to <verb> <what>.")
    t.s("for that, <a.he> needed <n>.", "\"we need <n>,\" said <b>.")
    t.s("<a> looked in the <box>. there {%s} only <k>." % ("was" if k == 1 else "were"), "but <a.he> had only <k>.")
    t.p()
    t.say("b", "{how many more do we need?|how many are missing?|is that enough?}")
    t.s("<a> counted {on <a.his> fingers|slowly}. \"we have <kk> and we need <nn>. {we need <d> more|<d> {%s} missing},\" <a.he> said." % ("is" if n - k == 1 else "are"),
        "\"<nn> take away <kk> is <d>,\" said <a>. \"so we need <d> more.\"")
    t.s("so they {went|ran|hurried} <pl.to>{ to look for more|}. {<s1> they found <dc>|there they found <dc>}." if f in (COUNTS[0], COUNTS[1], COUNTS[5], COUNTS[7], FOODS[18], FOODS[2], FOODS[0], FOODS[8]) else "so they went to {the neighbour|the shop} and came back with <dc>.",
        "<b> {ran home|went to the market} and {came back|returned} with <dc>.")
    t.s("now they had <n>{, just enough|}.", "<kk> and <d> make <nn>. now they could begin.")
    t.p()
    if "soup" in what or "pie" in what or "cake" in what or "jam" in what or "lemonade" in what:
        t.s("they {washed their hands|put on aprons} and {stirred and mixed|worked side by side}. soon {the kitchen smelled wonderful|everything was ready}.")
        t.s("<what> had never tasted so good.", "everyone {got some|had a taste}, and <g> {asked for more|said it was the best <g.he> had ever {had|tasted}}.")
    else:
        t.s("they worked {carefully|all afternoon}, and at last it was done.", "<a> passed one, <b> passed the next, and soon it was finished.")
        t.s("\"it is {beautiful|lovely|the best one I have ever seen},\" said <g>.")
    t.s("<a> and <b> were {proud|very proud|happy}.", "")
    t.close(25)


def shop(t):
    r = t.r
    t.who("a"); t.elder(); n = r.span(4, 18); o = t.thing(among=("ball", "kite", "drum", "whistle", "book", "doll", "toy car", "hat", "scarf", "marble", "bell", "spinning top", "flute", "puppet"))
    price = r.span(1, n); left = n - price
    coin = ("coin", "coins")
    t.put(n=t.cnt(n, coin), nn=t.n(n), p=t.cnt(price, coin), pp=t.n(price), l=t.cnt(left, coin) if left else "no coins", ll=t.n(left), man=r.pick(("shopkeeper", "toymaker", "old man at the stall", "woman in the shop")))
    t.intro() if r.chance(60) else t.s("<a> had <n> in <a.his> {pocket|purse|tin}.")
    t.s("{<a.he>|<a>} had saved <n>{ in a jar|}.") if "had" not in t.out[0] else t.s("<a.he> had saved them for a long time.")
    t.p()
    t.s("one {day|Saturday|morning}, <a> went to the {market|shop|fair} with <g>.", "on {Saturday|market day}, <g> took <a> to {town|the market}.")
    t.way(40)
    t.s("<a> saw a^ <o.full>. {it was just what <a.he> wanted|<a.he> stopped and stared}.", "in the window there was a^ <o.full>.")
    t.say("a", "how much is the <o>{, please|}?")
    t.put(m=Who("the " + t.c["man"], "she" if "woman" in t.c["man"] else "he"))
    t.say("m", "{it costs <p>.|<p>.|that one is <p>.}", how="{said|answered}")
    t.s("<a> counted <a.his> coins. <a.he> had <nn>, {and that was enough|so <a.he> could buy it}.")
    if left:
        t.s("<a.he> paid <p> and had <l> left.", "<nn> take away <pp> is <ll>, so <a> {had|kept} <l>.")
        if left > 1 and r.chance(55):
            q = r.span(1, left); f = r.pick(FOODS); t.put(q=t.cnt(q, coin), f=f[0], l2=t.cnt(left - q, coin) if left - q else "no coins", g2="{his|her}")
            t.p()
            t.s("then <a> saw a^ {fresh|sweet|big} <f> that cost <q>. {\"that is for <g>,\" <a.he> said|<a.he> bought it as a gift for <g>}. now <a.he> had <l2> left.")
            t.s("<g> was {surprised|touched}. \"{thank you|how kind of you}, <a>,\" <g.he> said.")
        else:
            t.s("\"I will save {the rest|what is left} {for another day|for next time},\" said <a>." if left > 1 else "\"I will save the last coin,\" said <a>.")
    else:
        t.s("<a.he> paid <p>, and now <a.his> pocket was empty. but the <o> was <a.own>!", "<a.he> gave all <a.his> coins and had none left, but <a.he> was {happy|not sad}.")
    t.p()
    t.s("at home, <a> took the <o> and <o.did>.", "all the way home, <a.he> held the <o> {tightly|in both hands}.")
    t.moral(40, "it is good to save {your coins|a little every week}.", "good things are worth {waiting for|saving for}.")
    t.close(25)


PROBLEMS = [
    # problem, want, tool, how it worked, wrong tool, why wrong, end
    ("<a>'s kite was stuck {high up |}in a tree", "get the kite down", "ladder", "climbed up and took the kite down", "a broom", "too short", "the kite was free"),
    ("the door {squeaked|creaked} {all day long|every time it moved}", "stop the noise", "can of oil", "put three drops of oil on the hinges", "some soap", "no help at all", "the door {opened without a sound|was quiet}"),
    ("the path was covered with {dry|yellow|fallen} leaves", "clear the path", "rake", "pulled the leaves into a big pile", "a spoon", "much too small", "the path was clean"),
    ("a button had come off <a>'s coat", "put the button back", "needle and some thread", "sewed the button on", "some glue", "not strong enough", "the coat was warm again"),
    ("it was {very |}dark in the cellar", "see in the dark", "lantern", "lit it and held it up high", "a mirror", "no use without any light", "<a.he> could see every corner"),
    ("the roof had a hole and the rain came in", "stop the rain", "hammer and some nails", "nailed a new board over the hole", "an old towel", "wet in a minute", "the floor stayed dry"),
    ("the stream was too wide to jump over", "get to the other side", "long plank", "laid it across the water like a bridge", "a short stick", "not long enough", "<a.he> could walk across"),
    ("the jam jar was {up on|at the back of} the highest shelf", "reach the jam", "stool", "stood on it and reached the jar", "a long fork", "too slippery", "there was jam for everyone"),
    ("a {goat|calf|lamb} had fallen into a deep hole", "get it out", "strong rope", "tied it around the poor animal and pulled", "a thin string", "too weak and broke", "it was safe on the grass"),
    ("the path was icy and everyone {slipped|fell down}", "make the path safe", "bucket of sand", "spread the sand over the ice", "a bucket of water", "even worse, because it froze too", "nobody slipped any more"),
    ("the garden was dry and the plants were thirsty", "bring water to the plants", "watering can", "carried water from the well", "a basket", "full of holes", "the plants stood up straight"),
    ("a heavy stone lay in the middle of the road", "move the stone", "long pole", "put it under the stone and pushed down", "{both|bare} hands", "not strong enough", "the road was free"),
    ("the boat had a small leak", "stop the water", "pot of tar", "covered the crack with tar", "a leaf", "too thin", "the boat floated well"),
    ("the hay was too heavy to carry", "bring the hay to the barn", "wheelbarrow", "loaded the hay and pushed it all the way", "a little bag", "too small", "the barn was full"),
    ("the grass had grown so long that nobody could find the gate", "cut the grass", "sharp scythe", "cut the grass row by row", "a pair of tiny scissors", "far too slow", "the gate could be seen again"),
    ("the rain would not stop, and <a> had to walk to school" , "stay dry", "big umbrella", "held it over <a.his> head", "a paper hat", "soft and soggy at once", "<a.he> arrived dry and warm"),
]


def tool(t):
    r = t.r
    t.who("a"); t.who("b"); t.elder()
    p = r.pick(PROBLEMS)
    t.put(prob=p[0].replace("to school", "to school" if t.people else "to the market"), want=p[1], tool=p[2], how=p[3], wrong=p[4], why=p[5], end=p[6], h=t.c[r.pick("bg")])
    t.intro()
    t.s("one day, <a.he> had a problem: <prob>.", "one {morning|afternoon|day}, <prob>.", "one {morning|afternoon|day}, <a> saw that there was trouble. <prob>.")
    t.say("a", "{how can I <want>?|what can I do?|I must <want>, but how?}")
    t.p()
    if r.chance(75):
        t.s("first <a.he> tried <wrong>. {but|that did not work, because} it was <why>." if p[4] != "{both|bare} hands" else "first <a.he> pushed with both hands, but <a.he> was <why>.")
        t.s("<a> {sighed|felt tired|sat down on the ground}. \"{it is no use|this is not the right way},\" <a.he> said.", "\"{that was no good|that did not help},\" {said <a>|<a.he> said}.")
        t.p()
    t.s("then <h> came {by|along}{ and saw what was wrong|}.", "just then, <h> {walked past|came home}.")
    t.say("h", "{you need a^ <tool>.|what you need is a^ <tool>.|try a^ <tool>.|I have a^ <tool> that will help.}")
    t.s("{so|together} they {fetched|brought} the <tool> from the shed.", "<h> {went away and came back|came back} with a^ <tool>.", "so <a> borrowed a^ <tool>{ from <h>|}.")
    t.s("<a> <how>, and soon <end>.", "carefully, <a> <how>. it {worked|worked at once}! {soon|now} <end>.")
    t.p()
    t.say("a", "{that was easy!|thank you, <h>!|it worked!|now I know what to do next time.}")
    t.s("<h> {smiled|laughed|nodded}. \"{every job has its tool|the right tool makes the work light|two heads are better than one},\" <h.he> said.", "<a> and <h> {shook hands|laughed together|had a cup of tea}.")
    t.close(30)


def race(t):
    r = t.r
    t.people = False
    x, y = r.sample(ANIMALS, 2)
    while x[2] == y[2]:
        x, y = r.sample(ANIMALS, 2)
    t.kinds.clear()
    a, b = t.who("a", x[0]), t.who("b", y[0])
    t.elder(); t.place(); t.day("sun")
    fast, slow = (a, b) if x[2] > y[2] else (b, a)
    t.put(f=fast, s=slow, goal=r.pick(("the old oak tree", "the bridge", "the mill", "the big rock", "the end of the lane", "the wooden gate")))
    upset = r.chance(55)
    t.s("<a> the <a.kind> and <b> the <b.kind> were {friends|neighbours}.", "once upon a time, there was a^ <a.kind> named <a> and a^ <b.kind> named <b>.", "<a> was a^ <a.kind>, and <b> was a^ <b.kind>.")
    if x[1] != y[1] and r.chance(65):
        t.put(big=a if x[1] > y[1] else b, sm=b if x[1] > y[1] else a)
        t.s("<big> was {bigger than <sm>|big and <sm> was small}.", "<sm> was {smaller|shorter} than <big>.")
    t.s("<f> was fast, but <s> was slow.", "<f> was much faster than <s>.", "<s> was slower than <f>.")
    t.p()
    t.s("one <w> <time>, <f> {laughed|boasted}. \"I am faster than you{, <s>|}!\"", "\"{nobody is as fast as I am|I can beat you any day},\" said <f> one <w> <time>.")
    t.say("s", "{then let us race to <goal>.|we will see. let us run to <goal>.|I am slow, but I never give up.}", how="said", adv="{calmly|quietly}")
    t.s("<g> {said|called}, \"one, two, three, go!\"", "<g> {rang a bell|dropped a leaf}, and the race began.")
    t.s("<f> {shot off like the wind|ran off at once|was soon far ahead}. <s> {came slowly behind|went step by step}.")
    t.p()
    if upset:
        t.put(stop=r.pick(("lay down <s1> and fell asleep", "stopped to eat some berries", "stopped to look at <f.his> face in the water", "stopped to talk to a friend", "stopped to pick flowers <s1>")))
        t.s("half way, <f> looked back and could not see <s>. \"I have {plenty of|lots of} time,\" <f.he> thought, and <f.he> <stop>.")
        t.s("but <s> kept going, {step after step|slowly and steadily}. <s.he> {went past <f>|walked on and on} and {came closer and closer to <goal>|did not rest once}.")
        t.s("when <f> {woke up|looked up|remembered the race}, it was too late. <s> was already at <goal>.".replace("{woke up|looked up|remembered the race}", "woke up" if "asleep" in t.c["stop"] else "{looked up|remembered the race}"))
        t.s("<s> {had won|was the winner}! {everyone cheered|all the animals clapped}.")
        t.say("f", "{you won because you never stopped.|I will not boast again.|I was too proud.}", how="said")
        t.moral(65, "slow and steady wins the race.", "{the fast one does not always win|it is better to keep going than to boast}.")
    else:
        t.s("<f> {ran and ran|did not stop} and {reached <goal> first|was first at <goal>}. <s> came second.")
        t.s("but <f> did not {laugh|boast} now. <f.he> saw how hard <s> had tried and {waited for <s.him>|ran back to walk the last steps with <s.him>}.")
        t.say("f", "{you are slow, but you are brave.|I won, but you tried the hardest.|next time we will do something that you are good at.}", how="said")
        t.s("so the next day they {looked for mushrooms|counted stars|solved riddles}, and {this time|there} <s> was the best.")
        t.moral(60, "everyone is good at something.", "winning is nice, but {a friend is nicer|being kind is better}.")


def newfriend(t):
    r = t.r
    t.who("a"); t.who("b"); t.place(); t.elder(); o = t.thing(among=("ball", "kite", "drum", "toy boat", "puppet", "toy car", "spinning top", "marble"))
    t.intro()
    t.s("one day, a new family moved in next door. they had a^ <b.kind> named <b>.", "one {morning|day}, a new <b.kind> came to {live nearby|the village}. {<b.his> name was <b>|the name of the new <b.kind> was <b>}." if t.people else "one {morning|day}, a^ <b.kind> came to live nearby. <b.his> name was <b>.")
    t.s("<b> was {shy|very shy|quiet} and {did not say a word|had no friends yet|hid behind a tree}.", "<b> {stood all alone <s1>|sat alone and watched the others}. <b.he> was too shy to {speak|say hello}.")
    t.maybe(60, "\"{why does <b> not play with us|is <b> sad}?\" asked <a>. \"<b> is new here,\" said <g>. \"{maybe <b.he> needs a friend|it is hard to be new}.\"")
    t.p()
    t.s("<a> {thought about that|had an idea}. <a.he> {took|fetched} <a.his> <o.short> and went {over to|to find} <b>.")
    t.say("a", "{hello, I am <a>. do you want to play?|would you like to play with my <o>?|this is my <o>. do you want to try it?}")
    t.s("<b> {looked up|nodded slowly|was surprised}. \"{yes, please|I would like that|I do not know how},\" <b.he> {said softly|whispered}.")
    t.s("<a> showed <b.him> {what to do|how to do it}. {first <a> <o.did>, then it was <b>'s turn|they took turns with the <o>}.", "so they {played|played together} <pl.at> {all day|until dark|for hours}.")
    t.p()
    t.s("{soon|before long} <b> {was laughing|began to laugh}. <b.he> {was not shy any more|told funny stories|knew a lot of {jokes|songs|games}}.")
    t.s("<b> showed <a> {how to whistle|a secret path|how to make a crown of leaves|a nest with {two|three|four} eggs in it} in return.", "the next day, it was <b> who {came to <a>'s door|called for <a>}. \"come out and play!\" <b.he> {shouted|called}.")
    t.moral(60, "{a kind word can open a door|one hello can make a friend|a new friend may be waiting for your hello}.", "from then on, <a> and <b> were {good|the best of|close} friends.")
    t.close(30)


def bigsmall(t):
    r = t.r
    t.people = False; t.kinds.clear()
    big = r.pick([x for x in ANIMALS if x[1] >= 7]); small = r.pick([x for x in ANIMALS if x[1] <= 2])
    a, b = t.who("a", small[0]), t.who("b", big[0]); t.place()
    t.s("once upon a time, there was a tiny <a.kind> named <a> and a big <b.kind> named <b>.", "<b> was a big, strong <b.kind>. <a> was a tiny <a.kind>.", "in the forest lived a big <b.kind> {named|called} <b> and a little <a.kind> {named|called} <a>.")
    t.s("one day, {<a> fell into the river|<a> was caught under a heavy branch|the wind blew <a> into a deep puddle|<a> got stuck in the mud}.")
    t.say("a", "help{, help|}!", how="{cried|called}", adv="in a tiny voice")
    t.s("<b> {heard it|came by} and {lifted <a> up gently|pulled <a.him> out with ease}. \"you are {so small|very light},\" <b.he> {laughed|said}.")
    t.s("\"thank you,\" said <a>. \"one day I will help you too.\"", "<a> said, \"thank you! {I will never forget this|some day I will help you}.\"")
    t.s("<b> {laughed|smiled}. \"{how could someone so small help someone so big|what could you do for me}?\"")
    t.p()
    t.put(trap=r.pick((("was caught in a net", "bit through the rope, {knot by knot|bit by bit}", "free"), ("had a thorn in <b.his> foot", "pulled the thorn out with great care", "free of pain"),
                       ("had lost <b.his> way in a thick fog", "ran ahead and showed the way home, step by step", "safe at home"), ("could not sleep because of an itch behind <b.his> ear", "climbed up and took out the burr that was behind the ear", "able to sleep"),
                       ("had dropped <b.his> key down a narrow hole", "crawled into the hole and brought back the key", "happy again")))[0:3])
    tr = t.c["trap"]; t.put(bad=tr[0], how=tr[1], free=tr[2])
    t.s("{some days|a week|a few days} later, <b> <bad>. <b.he> was big and strong, but {that did not help|<b.he> could do nothing}.")
    t.s("<a> {heard <b> cry|saw what had happened} and {came at once|ran as fast as <a.he> could}. \"{I am small, but I can do this|now it is my turn},\" <a.he> said.")
    t.s("<a> <how>. soon <b> was <free>.")
    t.say("b", "{you are small, but you are a great friend.|I was wrong. even the smallest can help the biggest.|thank you, my little friend!}", how="said")
    t.moral(60, "{even a small friend can be a big help|no one is too small to help|kindness comes back}.", "from that day, the biggest and the smallest were {the best of friends|always together}.")


def rainplan(t):
    r = t.r
    t.who("a"); t.who("b"); t.elder(); t.place()
    sunny = r.pick(("have a picnic", "fly a kite", "swim in the lake", "ride on the pony", "go on a long walk"))
    inside = r.pick((("built a tent out of blankets", "a tent"), ("made a castle out of boxes", "a castle"), ("baked {round|sweet|little} buns", "buns"), ("painted pictures of the sun", "pictures"),
                     ("put on a puppet show", "a show"), ("had a picnic on the {kitchen|living room} floor" if t.people else "had a picnic on the floor", "an indoor picnic")))
    t.put(plan=sunny, did=inside[0], it=inside[1])
    t.intro()
    t.s("<a> and <b.intro> wanted to <plan>.", "for days, <a> and <b> had planned to <plan>.")
    t.s("but when {<a> woke up|the day came}, {it was raining|rain was falling|the sky was dark and it rained and rained}.", "but that morning, big drops of rain {fell from the sky|ran down the window}.")
    t.s("\"{now we cannot <plan>|the day is spoiled},\" {said|sighed} <b>. <b.he> was {sad|cross}.", "<a> looked out and sighed. \"{no sun, no fun|it is too wet},\" <a.he> said.")
    t.p()
    t.say("g", "{rain outside does not mean rain inside.|why not play in here?|what can you do indoors?}")
    t.s("<a> {thought for a while|had an idea}. {\"let us do something else,\" <a.he> said. |}so they <did>.", "that gave <a> an idea. {quickly|soon} they <did>.")
    t.s("they {laughed|talked and laughed} so much that they {forgot the rain|did not hear the rain any more}.", "it was {warm and dry|cosy} inside while it was {cold and wet|grey} outside.")
    t.p()
    t.s("in the afternoon, the rain stopped. {a rainbow stood over the hills|the sun came out and there was a big rainbow}.", "when they looked up, the clouds had gone and {a rainbow was in the sky|the sun was back}.", "")
    t.s("\"{that was a good day after all|I am glad that it rained},\" said <b>.", "\"we can <plan> tomorrow,\" said <a>. \"today was {fun|lovely} too.\"")
    t.moral(50, "{a bad start can have a good end|when one plan fails, make another|every kind of weather is good for something}.")
    t.close(20)


FEARS = [("the dark", "a strange shape by the wall", "only a coat on a chair", "lit a small lamp"), ("thunder", "a loud bang in the sky", "only the clouds making noise", "counted the seconds after each flash"),
         ("the deep water", "dark green water under the dock", "only water, and it could hold <a.him> up", "held <a.his> hand and went in slowly"), ("the big dog", "a deep bark behind the gate", "only a dog that wanted to play", "gave the dog a bone"),
         ("the attic", "a scratching sound above", "only a bird that had come in through the window", "went up with a lantern"), ("the high bridge", "the boards moving under <a.his> feet", "as strong as a house", "walked in front, one step at a time"),
         ("the old house", "a white thing in the window", "only a curtain in the wind", "knocked on the door"), ("the night wind", "a long howl outside", "only the wind in the chimney", "opened the window just a little")]


def fear(t):
    r = t.r
    t.who("a"); t.who("b"); t.elder()
    f = r.pick(FEARS); t.put(fear=f[0], sign=f[1], only=f[2], did=f[3], h=t.c[r.pick("bg")])
    see = "felt" if "moving" in f[1] else "heard" if f[0] in ("thunder", "the big dog", "the attic", "the night wind") else "saw"
    t.put(saw=see)
    t.intro()
    t.s("<a> was {brave|not afraid of much}, but {<a.he> was afraid|there was one thing that scared <a.him>: <a.he> was afraid} of <fear>.", "<a> was afraid of <fear>.", "there was only one thing <a> did not like, and that was <fear>.")
    t.s("one {evening|night|day}, <a.he> <saw> <sign>. <a.his> {heart beat fast|knees began to shake}." if f[0] not in ("the dark", "the night wind", "the old house") else "one {evening|night}, <a.he> <saw> <sign>. <a.his> {heart beat fast|knees began to shake}.")
    t.s("<a.he> {wanted to run away|closed <a.his> eyes|held <a.his> breath}.", "")
    t.p()
    t.say("h", "{what is it, <a>?|why are you shaking?|are you afraid?}")
    t.say("a", "{I am afraid of <fear>.|<fear> scares me.|I <see> <sign>.}".replace("<see>", see if "<a." not in f[1] else see).replace("<sign>", f[1].replace("<a.his>", "my")), how="{said|whispered}")
    t.say("h", "{I will stay with you.|let us find out together.|being brave means to be afraid and try anyway.|take my hand.}")
    t.s("<h> <did>.", "so <h> stayed close, and then <h.he> <did>.")
    t.s("and what {did they find|was it}? it was <only>.", "<a> looked again. it was <only>!")
    t.s("<a> {laughed|began to laugh}. \"{I am not afraid any more|it is not scary at all|it was not so bad},\" <a.he> said.")
    t.p()
    t.s("{the next time|when it happened again}, <a> {took a deep breath and was calm|was not so scared}.", "a week later, <a> {helped|was able to help} a smaller friend who was afraid of <fear> too.")
    t.moral(55, "{things are less scary when you look at them closely|being brave is easier with a friend|fear gets smaller when you share it}.")


SKILLS = [("ride a bike", "fell off", "rode all the way down the lane", "bike"), ("whistle", "only blew air", "whistled a whole song", ""), ("swim", "went under", "swam across the pond", ""),
          ("tie a knot", "made a tangle", "tied a perfect knot", ""), ("skip with a rope", "tripped", "skipped {ten|twelve|twenty} times without a stop", ""), ("juggle", "dropped the balls", "juggled three balls", ""),
          ("bake bread", "burned the loaf", "took a golden loaf out of the oven", ""), ("skate on the ice", "sat down hard", "went round the pond like a bird", ""), ("read", "got the letters mixed up", "read a whole page out loud", ""),
          ("paint a horse", "painted something that looked like a potato", "painted a fine horse", ""), ("stand on one foot", "fell over", "stood on one foot and counted to {ten|twenty}", ""), ("play the flute", "made a terrible squeak", "played a sweet tune", "")]


def skill(t):
    r = t.r
    t.who("a"); t.who("b"); t.elder()
    k = r.pick(SKILLS); d = r.below(4); t.put(do=k[0], fail=k[1], win=k[2], d1=DAYS[d], d2=DAYS[d + 1], d3=DAYS[d + 2], d4=DAYS[d + 3], h=t.c[r.pick("bg")])
    t.intro()
    t.s("<a> wanted to learn to <do>.", "more than anything, <a> wished that <a.he> could <do>.", "<b.intro> could <do>, but <a> could not.")
    t.p()
    t.s("on <d1>, <a.he> tried and <fail>.", "the first time, <a.he> tried and <fail>.")
    seq = "on" in t.out[-1][:3]
    t.say("a", "{I cannot do it!|it is too hard.|I will never learn it.}", how="{said|cried}", adv="{sadly|angrily}")
    t.say("h", "{nobody can do it the first time.|you cannot do it yet. try again tomorrow.|a little every day is the secret.|I had to learn it too.}", how="said")
    t.p()
    if seq:
        t.s("on <d2>, <a> tried again and <fail>, but {not so badly|<a.he> laughed about it}. on <d3>, it went {a little|much} better.", "on <d2>, <a.he> <fail> again. on <d3>, <a.he> almost {did it|got it right}.")
        t.s("and on <d4>, <a> <win>!")
    else:
        t.s("{so|the next day} <a> tried again, and again <a.he> <fail>. the day after, it went {a little|much} better.", "<a> {did not give up|practised every day}. {each|every} day it was a little easier.")
        t.s("{at last|one morning|after a week}, <a> <win>!")
    t.say("a", "{look, I can do it!|I did it!|look at me!}", how="{cried|shouted}")
    t.s("<h> {clapped|cheered|was proud}. \"{you never gave up|that is because you practised|I knew you could},\" <h.he> said.")
    t.moral(60, "{practice makes hard things easy|if you keep trying, you get better|hard today can be easy tomorrow|it takes many tries to learn something new}.",
            "soon <a> was {teaching|able to teach} a younger friend {how to <do>|to <do>}.")
    t.close(20)


def gift(t):
    r = t.r
    t.who("a"); t.who("b"); col, wrong = r.sample(COLOURS, 2); t.place()
    item = r.pick((("scarf", "knitted", "wool"), ("hat", "sewed", "cloth"), ("kite", "built", "paper"), ("box", "painted", "wood"), ("cup", "shaped", "clay"), ("cushion", "sewed", "cloth"), ("boat", "carved", "wood"), ("necklace", "made", "string and beads"), ("card", "drew", "paper"), ("birdhouse", "built", "wood")))
    t.put(col=col, wcol=wrong, x=item[0], made=item[1], of=item[2])
    t.intro()
    t.s("{tomorrow|soon} it would be <b>'s birthday. <b> was <a.his> <b.rel>." if t.people else "it was almost <b>'s birthday. <b> was <a.his> {friend|neighbour}, a^ <b.kind>.", "<b.intro> {had a birthday soon|was going to have a birthday}.")
    t.s("<a> wanted to give <b.him> something {nice|special}, but <a.he> {had no money|did not know what}.", "\"what can I give {<b>|to <b>}?\" <a> {wondered|thought}.")
    t.maybe(70, "<a> {remembered|knew} that <b>'s favourite colour was <col>.", "\"<b> {loves|likes} <col> things best,\" <a.he> {thought|remembered}.")
    known = "colour" in t.out[-1] or "things best" in t.out[-1]
    t.p()
    if not known:
        t.s("so <a> asked {quietly|in secret}, \"what is your favourite colour?\" \"{it is <col>|<col>, of course},\" said <b>.")
    t.s("at home there was {only <wcol> <of>, but no <col>|some <wcol> <of>, but that was the wrong colour}." if item[2] != "string and beads" else "at home there were only <wcol> beads, but no <col> ones.", "")
    t.s("<a> found some <col> <of> and <made> a^ <col> <x>. it took {all day|two days|until bedtime}." if item[2] != "string and beads" else "<a> found <col> beads in an old box and made a^ <col> <x>.",
        "so <a> <made> a^ <col> <x>, {all by <a.self>|with great care}.")
    t.s("<a.he> {put it in a box|wrapped it in paper} and tied a^ <col> ribbon around it.", "it was not perfect, but it was made with love.", "")
    t.p()
    t.s("on the birthday, <b> opened the {box|gift|parcel}.", "when the day came, <b> {tore off the paper|looked inside}.")
    t.say("b", "{a^ <col> <x>! <col> is my favourite colour!|it is <col>, just what I like best!|what a lovely <x>!}", how="{cried|shouted}")
    t.s("<b.he> {hugged|thanked} <a> and {would not put it down|showed it to everyone}.", "\"{did you make it yourself|you made this for me}?\" <b.he> asked. <a> nodded {proudly|and smiled}.")
    t.moral(55, "{the best gifts are made by hand|a gift made with love is the best gift|it is the thought that counts}.", "<a> learned that it is {as nice to give as to get|fun to make someone happy}.")


def greedy(t):
    r = t.r
    t.who("a"); t.who("b"); t.elder(); f = r.pick([x for x in FOODS if x[0] not in ("lemon", "egg", "mushroom", "turnip", "tomato")])
    n = r.span(5, 12); t.put(n=t.cnt(n, f), xs=f[1], x=f[0], box=f[2], kk=t.n(r.span(1, 2)))
    t.intro()
    t.s("<a> loved <xs>. <a.he> {could never get enough of them|dreamed of them at night}.", "nothing tasted better to <a> than a^ <x>.")
    t.s("one day, <g> put <n> {on the table|in a <box>}. \"they are for {everyone|all of us},\" <g.he> said. \"{please wait until supper|one each}.\"")
    t.p()
    t.s("but <a> {could not wait|was greedy}. {when nobody was looking,|as soon as <g> was gone,} <a.he> ate one. then <a.he> ate another, and another.")
    t.s("{soon|before long} all <n> were gone{, and <a.his> tummy was round as a ball|}.")
    t.s("then {it began to hurt|<a.his> tummy began to ache}. \"{ow|oh}, my tummy!\" {cried|groaned} <a>.")
    t.p()
    t.s("at supper time, <b> came {in|to eat}. \"where are the <xs>?\" <b.he> asked. <b> was {sad|hungry} because there was not one <x> left.")
    t.s("<a> {felt bad|went red}. \"I ate them all,\" <a.he> said. \"I am sorry. {I was greedy|I did not think of you}.\"")
    t.say("g", "{now you know why we share.|your tummy has told you enough.|too much of a good thing is not good.}", how="said")
    t.s("the next day, <a> went out to get <n>. <a.he> gave {them all to <b> and the others|most of them to <b>} and {kept only one|ate only one}.", "{when|as soon as} <a.he> felt better, <a.he> {brought <b> <n> and said sorry again|filled the <box> again with <n>}.")
    t.moral(55, "{enough is better than too much|one is nice, but too many hurt|greedy today is sorry tomorrow}.", "from then on, <a> {always left some for the others|ate slowly and shared}.")


def finder(t):
    """finds something, returns it to its owner"""
    r = t.r
    t.who("a"); t.who("b"); t.place(); t.elder(); o = t.thing(among=("ball", "scarf", "hat", "whistle", "bell", "book", "basket", "umbrella", "lantern", "flute", "doll", "teddy bear", "marble", "bucket", "toy car")); t.day("sun")
    t.intro()
    t.s("one <w> <time>, <a> was <pl.at> when <a.he> saw something <s1>. it was a^ <o.full>.",
        "one <w> <time>, <a> {found|saw} a^ <o.full> <pl.at>. it lay <s1>." if "on " not in t.c["s1"] else "one <w> <time>, <a> found a^ <o.full> <pl.at>, right <s1>.")
    t.say("a", "{whose <o> is this?|who has lost this?|what a lovely <o>!}")
    t.s("nobody was there. <a> {wanted to keep it|liked the <o> very much}, but <a.he> {knew that it was not <a.own>|thought that someone must miss it}.", "<a.he> could have kept it, and nobody would have known. but that {would not be right|did not feel right}.")
    t.p()
    t.s("so <a.he> asked {everyone|all around}. <a.he> asked <g>, but it was not <g.his> <o>.", "first <a.he> asked <g>. \"{no, mine is %s|that is not mine},\" said <g>." % r.pick([c for c in COLOURS if c != o.colour]))
    t.maybe(50, "{next|then} <a.he> asked the {baker|farmer|miller|postman}, but he shook his head.")
    t.s("{then|at last} <a> {saw|met} <b>, who {was crying|looked under every bush|looked very sad}.")
    if r.chance(50):
        t.say("a", "{what is wrong?|what is the matter?|can I help you?}")
        t.say("b", "{I have lost my <o>. it is <o.colour> and <o.adj>.|my <o.full> is gone.|I cannot find my <o.short>.}", how="{said|answered}")
    else:
        t.say("a", "{have you lost something?|are you looking for something?}")
        t.say("b", "{yes, a^ <o.full>.|yes, my <o>. it is <o.colour> and <o.adj>.}", how="{said|answered}")
    t.s("<a> {held out|showed <b.him>} the <o>. \"is this {yours|the one}?\" <a.he> asked.")
    t.s("<b> {jumped for joy|laughed and cried at the same time|was so happy}! \"{yes, thank you|that is it|you found it}!\" <b.he> {said|cried}.")
    t.p()
    t.s("{to thank <a.him>|as a thank you}, <b> {shared a bag of nuts with <a>|taught <a> a new song|let <a> play with it every day|gave <a> a {sweet|big} {plum|bun|pear}}.", "and so <a> lost a^ <o> but {found|won} a friend.")
    t.moral(55, "{being honest feels better than any treasure|what is lost should go back to its owner|honest hands make good friends}.")


def baby(t):
    r = t.r
    t.who("a"); t.day("sun"); t.place()
    baby, mother, home, sound = r.pick((("duckling", "duck", "on the pond", "quack"), ("kitten", "cat", "in the barn", "meow"), ("lamb", "sheep", "on the green hill", "baa"), ("chick", "hen", "in the henhouse", "cheep"),
                                        ("puppy", "dog", "behind the mill", "woof"), ("calf", "cow", "in the long field", "moo"), ("gosling", "goose", "by the river", "honk"), ("foal", "horse", "in the stable", "neigh")))
    while t.c["a"].kind == mother or t.c["a"].kind == baby or t.c["pl"].at in home or (home == "in the barn" and t.c["pl"].name == "the farm"):
        t.c.clear(); t.names.clear(); t.kinds.clear(); t.who("a"); t.day("sun"); t.place()
    helpers = [x for x in ("crow", "frog", "goat", "pig", "squirrel", "owl", "bee", "snail", "rabbit", "horse", "cow", "cat", "dog") if x not in (mother, t.c["a"].kind)]
    h1, h2 = r.sample(helpers, 2)
    t.put(x=baby, m=mother, home=home, snd=sound, h1=h1, h2=h2)
    t.intro()
    t.s("one <w> <time>, <a> {heard|was <pl.at> and heard} a {small|thin|tiny} sound. \"<snd>, <snd>!\"")
    t.s("<s1> {sat|stood} a little <x>. it was {all alone|lost and shaking}.", "it was a little <x>, {all alone|lost} <s1>.")
    t.say("a", "{are you lost?|where is your mother?|do not cry, little one.}", adv="{softly|gently}")
    t.s("the <x> {looked up with big eyes|came closer}. \"<snd>,\" it said.", "\"I cannot find my mother,\" said the <x>." if not t.people else "the <x> {looked up with big eyes|came closer and shook}.")
    t.s("\"{I will help you|come with me, we will find her},\" said <a>.")
    t.p()
    talk = not t.people or r.chance(50)
    if talk:
        t.s("they asked the <h1>. \"{have you seen a^ <m>|do you know where the <m> is}?\" \"no,\" said the <h1>.")
        t.s("then they asked the <h2>. \"yes,\" said the <h2>. \"{there is a^ <m> <home>, and she is calling|I saw a^ <m> <home>}.\"")
    else:
        t.s("they looked {everywhere|up and down}. they {walked past a^ <h1> and a^ <h2>|saw a^ <h1> and a^ <h2>}, but no <m>.")
        t.s("then <a> had an idea. \"{a^ <m> lives|there is a^ <m>} <home>,\" <a.he> said.")
    t.s("so they {went|hurried|walked} there, {the little <x> close behind|side by side}. and <home> was the <m>!", "they {went|hurried} there {together|at once}. there was the mother <m>, {looking for her baby|calling and calling}.")
    t.p()
    t.s("\"<snd>!\" {cried|called} the <x> and ran to her. the <m> was {so glad|very happy}.", "the little <x> ran to its mother as fast as it could. now it was {safe|not lost any more}.")
    t.s("<a> {waved|smiled} and {went|walked} home{, happy to have helped|}.", "\"goodbye, little <x>!\" said <a>. \"{stay close to your mother|do not get lost again}.\"")
    t.moral(40, "{when you are lost, ask for help|helping someone find the way home is a fine thing to do|even a small kindness can be big for someone else}.")
    t.close(20)


def garden(t):
    r = t.r
    t.who("a"); t.who("b"); t.elder()
    plant = r.pick((("sunflower", "sunflowers"), ("bean", "beans"), ("pumpkin", "pumpkins"), ("tulip", "tulips"), ("carrot", "carrots"), ("rose bush", "rose bushes"), ("cabbage", "cabbages"), ("pea", "peas"), ("poppy", "poppies")))
    n = r.span(3, 12); bad = r.span(1, n - 2) if n > 3 else 1
    t.put(n=t.n(n), bad=t.n(bad), good=t.n(n - bad), gc=t.cnt(n - bad, plant), x=plant[0], xs=plant[1], pest=r.pick(("a crow", "a snail", "a hungry mouse", "a naughty goose")), h=t.c["g"])
    if t.c["pest"].split()[-1] in t.kinds:
        t.put(pest="a slug")
    t.intro()
    t.s("in spring, <g> gave <a> <n> {<x> |}seeds. \"{plant them and wait|they need earth, water and sun},\" <g.he> said.", "<a> wanted to grow <xs>. <a.he> {bought|got} <n> seeds{ from <g>|}.")
    t.s("<a> dug <n> little holes and put one seed in each. {every day, <a.he> gave them water|then <a.he> watered them}.")
    t.p()
    t.s("the next {day|morning}, <a> {looked|ran out to look}. nothing! \"why {is nothing happening|do they not grow}?\" <a.he> asked.", "one day went by, then two, then three. {nothing happened|there was only brown earth}.")
    t.say("g", "{good things take time.|be patient. seeds are slow.|wait a little longer.}", how="said")
    t.s("so <a> waited. {sunny days came and rainy days came|the sun shone and the rain fell}.", "<a> {pulled out the weeds|kept the earth wet} and waited.")
    t.p()
    if r.chance(65):
        t.s("then {at last|one morning}, <n> green tips came up! <a> {danced|shouted for joy}.")
        t.s("but <pest> came and ate <bad> of them. <n> take away <bad> is <good>, so {there were|<a> had} <good> left.", "in the night, <pest> ate <bad>. now {there {%s} only|<a> had only} <good> left." % ("was" if n - bad == 1 else "were"))
        t.s("<a> was {sad|cross}, but <b> helped to {build a little fence|put a net over the bed}, and the others were safe." if n - bad > 1 else "<b> helped to {build a little fence|put a net over it}, and it was safe.")
        t.s("by summer, there {%s} <gc> in the garden." % ("was" if n - bad == 1 else "were"), "all summer long %s grew, and at last <a> had <gc>." % ("it" if n - bad == 1 else "they"))
    else:
        t.s("then {at last|one morning}, green tips came up. {they grew taller and taller|every day they were a little bigger}.")
        t.s("in summer, <a> had <nc>, one for every seed.".replace("<nc>", t.cnt(n, plant)), "by the end of summer, {<a> had|there were} <nc>.".replace("<nc>", t.cnt(n, plant)))
    t.s("<a> gave the {first|best} one to <g>{ as a thank you|}." if n - bad > 1 else "<a> showed it to <g>.", "\"{look how big they are|I grew them myself},\" said <a> {proudly|to <b>}." if n - bad > 1 else "\"I grew it myself,\" said <a>.")
    t.moral(50, "{good things need time|who waits and works will be happy in the end|a little care every day makes things grow}.")


def hideseek(t):
    r = t.r
    t.who("a"); t.place(out=r.chance(70))
    pl = t.c["pl"]; n = r.span(2, 4)
    keys = ["b", "c", "d", "e"][:n]
    for k in keys:
        t.who(k)
    spots = r.sample(pl.spots, n)
    k10 = r.pick((10, 20)); t.put(n=t.n(n), ten=t.n(k10), tot=t.n(n + 1))
    names = [t.c[k].name for k in keys]
    t.put(all=", ".join(names[:-1]) + " and " + names[-1])
    t.s("<a> wanted to play hide and seek <pl.at> with <all>.", "{one|one sunny} day, <a>, <all> played hide and seek <pl.at>.", "<tot> friends met <pl.at>: <a>, <all>. \"let us play hide and seek!\" said <a>.")
    if not t.people and r.chance(70):
        t.s("<a> was a^ <a.kind>" + "".join((", " if k != keys[-1] else " and ") + "<%s> was a^ <%s.kind>" % (k, k) for k in keys) + ".")
    t.s("<a> {closed <a.his> eyes|turned to the wall} and counted to <ten>. the {other <n>|others} ran to hide.")
    t.say("a", "{ready or not, here I come!|I am coming!}", how="{called|shouted}")
    t.p()
    order = list(range(n))
    for i in order:
        left = n - i - 1
        t.put(f=t.c[keys[i]], sp=spots[i], left=t.n(left))
        t.s("{first|first of all} <a.he> looked <sp> and found <f>." if i == 0 else "{then|next} <a.he> looked <sp>, and there was <f>.",
            "<sp> <a.he> saw {a foot|an ear|a bit of hair|a nose}. it was <f>!" if i == 0 else "<a> heard {a giggle|a sneeze|a small sound} <sp>. it was <f>!",
            "<a.he> found <f> <sp>.")
        if left:
            t.s("now {only <left> %s still hiding|<left> %s left}." % (("was", "was") if left == 1 else ("were", "were")), "\"{that is %s|%s found}, <left> to go,\" {said <a>|<a.he> said}." % (("one", "one") if i == 0 else (t.n(i + 1), t.n(i + 1))))
    t.s("now all <n> were found.", "now <a> had found them all.")
    t.put(last=t.c[keys[-1]])
    t.p()
    t.s("<last> had {hidden best|been the hardest to find}, so <last.he> {won|was the winner}. \"now it is my turn to seek,\" said <last>.", "\"{again|one more time}!\" they all {cried|shouted}, and <last> {began to count|closed <last.his> eyes}.")
    t.s("they played until {it got dark|the stars came out|it was time to eat}.", "what a {good|fine|merry} day it was!", "")


def tower(t):
    r = t.r
    t.who("a"); t.who("b"); n = r.span(5, 12); k = r.span(1, 6)
    x = r.pick((("block", "blocks"), ("box", "boxes"), ("flat stone", "flat stones"), ("cup", "cups"), ("book", "books")))
    t.put(n=t.cnt(n, x), nn=t.n(n), k=t.cnt(k, x), kk=t.n(k), tot=t.cnt(n + k, x), tt=t.n(n + k), xs=x[1], bad=r.pick(("a gust of wind", "the dog's tail", "<b>'s elbow", "the cat", "a rolling ball")))
    t.intro()
    t.s("<a> {was building|wanted to build} a tower {of|out of} <xs>. {up and up it went|<a.he> put one on top of the other}, until it was <n> high.", "one day, <a> {put|set} <xs> on top of each other until <a.he> had a tower of <n>.")
    if r.chance(50):
        t.s("<b> had <k>{ too|}. \"{take mine|put mine on top},\" <b.he> said.")
        t.s("<nn> and <kk> make <tt>, so now the tower was <tot> high.", "with <b>'s <k>, the tower was <tot> high.")
        high = "tot"
    else:
        high = "n"
    t.p()
    t.s("then, {crash|oh no}! <bad> {hit|touched} the tower, and {down it came|it fell down}.", "just then, <bad> {bumped into|knocked against} it. {crash|bang}! the tower was gone.")
    t.s("<a> was {angry|sad|cross}. \"{all my work|my tower},\" <a.he> {cried|said}.", "<a> {looked at the <xs> on the floor|felt the tears come}.")
    if t.c["bad"] == "<b>'s elbow":
        t.s("\"I am sorry,\" said <b>. \"I did not mean to. {let me help you|let us build it again}.\"")
    else:
        t.s("\"do not be sad,\" said <b>. \"{we can build it again|let us make a better one}.\"")
    t.s("this time they {put the biggest <xs> at the bottom and the smallest on top|made the bottom wide and the top narrow}.", "together they {worked slowly|took great care}. <a> {held|steadied} the tower while <b> put on the {next one|last one}.")
    t.s("soon the new tower was <%s> high again, and it was stronger than the old one." % high, "{at last|soon} all the <xs> were back in place. the new tower {did not shake at all|was even better}.")
    t.moral(55, "{what falls down can be built again|two builders are better than one|a strong tower needs a wide bottom}.")
    t.close(20)


def bedtime(t):
    r = t.r
    t.who("a"); t.elder(); thing = r.pick((("sheep", "sheep"), ("star", "stars"), ("cloud", "clouds"), ("raindrop", "raindrops")))
    n = r.span(5, 20); t.put(xs=thing[1], n=t.cnt(n, thing), nn=t.n(n))
    t.intro()
    t.s("one night, <a> could not sleep. {the moon was too bright|the bed was too warm|<a.he> turned left and <a.he> turned right}.", "it was {late|dark outside}, but <a> was wide awake.")
    t.say("a", "{I cannot sleep.|I am not tired at all.|why can I not sleep?}")
    t.say("g", "{close your eyes and count <xs>.|try to count <xs>.|shall we count <xs> together?}", adv="{softly|gently|quietly}")
    t.p()
    t.s("so <a> began. \"one, two, three, four...\"", "<a> closed <a.his> eyes. \"one, two, three,\" <a.he> counted.")
    t.maybe(60, "{there was a small one and a big one|some were big and some were small|a white one came, then a black one}." if thing[0] == "sheep" else "{there was a small one and a big one|some were big and some were small}.")
    t.s("<a.his> {voice grew slower and slower|eyes grew heavy}. outside, {an owl called|the wind sang a soft song|everything was still}.", "it was warm under the blanket. {somewhere a clock ticked|the house was quiet}.")
    t.s("at number <nn>, <a> {yawned|gave a big yawn}. <a.he> never {came to|counted} the next one.", "<a.he> counted <n>, and then <a.he> was {fast |}asleep.")
    t.p()
    t.s("<g> {smiled|pulled up the blanket} and turned out the light.", "\"good night, <a>,\" <g> whispered.")
    t.s("in the morning, <g> asked, \"how many did you count?\" \"{<n>, I think|I got to <nn>},\" said <a> {and stretched|with a laugh}.", "that night, <a> dreamed of {flying|a garden full of <xs>|a boat in the sky}.", "")
    t.moral(25, "{sleep comes when you stop looking for it|a quiet voice is the best pillow}.")


def crywolf(t):
    r = t.r
    t.who("a"); t.who("b"); t.place(); t.elder()
    al = r.pick((("the {barn|hay} is on fire", "fire", "a little fire in the hay"), ("a wolf is coming", "wolf", "a real wolf"), ("the river is rising", "flood", "water coming over the banks"), ("I am stuck in the mud", "mud", "deep mud, and it held <a.his> feet"),
                        ("a bear is in the garden", "bear", "a real bear")))
    while al[1] in t.kinds:
        al = ("the river is rising", "flood", "water coming over the banks")
    t.put(cry=t.fill(al[0]), real=al[2])
    t.intro()
    t.s("<a> liked to {play tricks|trick others}.", "<a> thought that tricks were {very funny|the best fun}.")
    t.s("one day, <a.he> {shouted|cried}, \"help! <cry>!\"")
    t.s("<b> and <g> {dropped everything|came running}{ to help|}. but there was nothing. <a> {laughed and laughed|rolled on the ground laughing}.")
    t.say("g", "{that was not funny.|do not call for help when you do not need it.|if you trick us, we will not believe you.}", how="said")
    t.p()
    t.s("the next day, <a> did it again. \"help! <cry>!\" {<b> and <g> came running again|Again they ran to help}, and again it was only a trick.")
    t.s("on the third day, {there was|<a> saw} <real>. this time it was true.")
    t.s("\"help! <cry>!\" {cried|shouted} <a>. but nobody came. \"{it is just another trick|<a> is only joking},\" said <b>.")
    t.p()
    if r.chance(60):
        t.s("<a> {called and called|was very afraid}. at last <g> {heard that <a.his> voice was different|saw that <a.he> was crying} and came to help just in time.")
    else:
        t.s("<a> had to {run all the way home alone|save <a.self>}. <a.he> was {cold and tired|very scared}, but <a.he> was safe in the end.")
    t.s("\"{I am sorry|now I understand},\" said <a>. \"{I will never trick you again|I will only call for help when I need it}.\"")
    t.moral(75, "{nobody believes a liar, even when he tells the truth|if you want to be believed, tell the truth|one who tricks too often is not believed}.")


def trade(t):
    r = t.r
    t.who("a"); n = r.span(2, 3)
    things = [x for x in THINGS if x[0] not in ("toy train",)]
    chain = r.sample(things, n + 1); cols = r.sample(COLOURS, n + 1)
    who = r.sample(("a farmer", "a baker", "a sailor", "a shepherd", "a miller", "a painter", "a fisherman", "an old woman", "a tailor", "a gardener"), n)
    t.put(x=cols[0] + " " + chain[0][0])
    t.intro()
    t.s("<a> had a^ <x>, but <a.he> {did not need it any more|was tired of it|had no use for it}.", "all that <a> had was a^ <x>.")
    t.p()
    for i in range(n):
        t.put(w=who[i], wt=who[i].split(" ", 1)[1], x=cols[i] + " " + chain[i][0], xn=chain[i][0], y=cols[i + 1] + " " + chain[i + 1][0])
        t.s("{on the road|one day} <a.he> met <w>, who {had|carried} a^ <y>." if i == 0 else "{a little further|then|after that} <a.he> met <w>, who {had|carried} a^ <y>.")
        t.s("\"{will you give me your <xn> for my <y>|shall we trade? your <xn> for my <y>}?\" asked the <wt>.", "\"I need a^ <xn>,\" said the <wt>. \"{I will give you my <y> for it|take my <y>}.\"")
        t.s("so they {traded|swapped}. now <a> had a^ <y>.", "<a> {agreed|said yes}. {<a.he> gave away the <x> and got the <y>|now the <wt> had the <x>, and <a> had the <y>}.")
    t.p()
    t.put(y=cols[n] + " " + chain[n][0], yn=chain[n][0], x=cols[0] + " " + chain[0][0])
    t.s("{in the evening|at last}, <a> came home with the <y>. \"this morning I had a^ <x>, and now I have a^ <y>,\" <a.he> {said|laughed}.")
    t.s("<a.he> {liked the <yn> very much|gave the <yn> to <a.his> little sister, who loved it|was happy with it}.", "everyone was happy, because {everyone had what they needed|each one got what they wanted}.")
    t.moral(40, "{what one does not need, another can use|a fair trade makes two people happy}.")


def letter(t):
    r = t.r
    t.who("a"); t.elder(); d = r.below(4); t.put(d1=DAYS[d], d2=DAYS[d + 1], d3=DAYS[d + 2], d4=DAYS[(d + 3) % 7], news=r.pick(("I can swim now", "I lost a tooth", "our cat has {two|three|four} kittens", "I planted a tree", "I can count to one hundred", "I miss you very much", "the apples are ripe")))
    t.put(g=Who(*r.pick((("Grandma", "she"), ("Grandpa", "he"), ("Aunt Rose", "she"), ("Uncle Joe", "he"))))) if t.people else None
    news = t.fill(t.c["news"]); t.put(news=news)
    t.intro()
    t.s("<g> lived far away, {on the other side of the mountain|across the sea|in the big city|behind the forest}, and <a> missed <g.him>.")
    t.s("so on <d1>, <a> {sat down and wrote|wrote} a letter. \"dear <g.bare>, <news>. {please come and visit|I hope you are well}. love, <a>.\"".replace("<g.bare>", t.c["g"].name.replace("the ", "")))
    t.s("<a.he> put it in {a blue|a white|a yellow|a brown} envelope{ and drew a {heart|flower|sun} on it|}.")
    t.p()
    t.s("on <d2>, the {postman|mail coach|post ship} took the letter away. on <d3>, it {rained|snowed|was windy} and nothing came. <a> waited at the window.")
    t.s("{but on|then, on} <d4>, there was a {knock|ring} at the door. <a> ran to open it.")
    if r.chance(55):
        t.s("there stood <g> {with a big bag|with open arms|in a long coat}! \"I {got|read} your letter and came {at once|as fast as I could},\" <g.he> said.")
        t.say("g", "{so %s. how wonderful!|you wrote that %s. tell me more!}" % ((news.replace("I ", "you ").replace("our ", "your "),) * 2) if "miss" not in news else "{I missed you too.|I have missed you just as much.}", how="said")
        t.s("they {hugged|drank tea and talked} {for a long time|until it was dark}.", "<a> {jumped into <g.his> arms|hugged <g.him> and would not let go}.")
    else:
        t.s("it was the postman with a letter {for <a>|from <g>}. \"dear <a>, {thank you for your letter. it made me smile|I read your letter three times}. {I will come on Sunday|I will visit you soon}. love, <g.bare>.\"".replace("<g.bare>", t.c["g"].name.replace("the ", "")))
        t.s("<a> {read it again and again|put the letter under <a.his> pillow}.", "<a> {danced around the room|was the happiest <a.kind> in the {village|world}}.")
    t.moral(35, "a few kind words can travel {far|a long way}.")
    t.close(25)


def soup(t):
    r = t.r
    t.who("a"); t.who("b"); t.elder(); t.day(r.pick(("snow", "rain")))
    ing = r.sample(("carrots", "potatoes", "onions", "peas", "beans", "mushrooms", "leeks", "corn"), 3)
    miss = r.pick(("salt", "butter", "milk", "firewood", "a big spoon", "a bigger pot"))
    t.put(i1=ing[0], i2=ing[1], i3=ing[2], miss=miss)
    t.intro()
    t.s("it was a^ <w> day, and <a> wanted to {cook|make} {hot|warm} soup.", "one <w> day, <a> {was cold and hungry|came home cold and wet}. \"I will make soup,\" <a.he> said.")
    t.sky(50)
    t.s("into the pot went <i1>, <i2> and <i3>.", "<a.he> {cut|washed} the <i1>, the <i2> and the <i3>, and put them in the pot.")
    t.p()
    t.s("but then <a> stopped. there was no <miss>." if not miss.startswith("a ") else "but <a> did not have <miss>.")
    t.s("<a> {ran|went} next door to <b>. \"can you {lend|give} me {some |}<miss>?\" <a.he> asked.".replace("{some |}", "" if miss.startswith("a ") else "some "))
    t.say("b", "{of course.|yes, here you are.|gladly, but may I have a bowl of soup?}", how="said")
    t.s("then <g> {came by|knocked}. \"{something smells good|I could smell your soup from the road|what a lovely smell},\" <g.he> said. {<g> brought some bread|<g.he> had a loaf of bread under one arm}.")
    t.s("{soon|at last} the soup was hot. they sat around the table, <a>, <b> and <g>, and {ate until the pot was empty|ate two bowls each}.", "so there were three at the table: <a>, <b> and <g>. {the soup was hot and the bread was soft|outside it was cold, but inside it was warm}.")
    t.p()
    t.say("b", "{this is the best soup I have ever had.|what good soup!|soup is best with friends.}", how="said")
    t.moral(50, "{one brings the pot and one brings the salt|a pot of soup is big enough for three|good neighbours share}." if miss == "salt" else "{a pot of soup is big enough for three|good neighbours share}.", "everyone had given a little, and together it was {a lot|a feast}.")
    t.close(25)


def treasure(t):
    r = t.r
    t.who("a"); t.who("b"); p1 = t.place("pl"); s1 = t.c["s1"]; p2 = t.place("p2", avoid=p1)
    s2 = r.pick([x for x in p2.spots if not x.startswith(("on ", "inside "))]); n = r.span(3, 15); d = r.pick(("left", "right"))
    box = r.pick((("seven old coins", "coins"), ("a silver whistle", "whistle"), ("a golden key", "key"), ("a bag of sweets", "sweets"), ("a small music box", "box"), ("a shiny glass ball", "ball"), ("a crown made of paper and gold", "crown")))
    t.put(z1=s1, z2=s2, n=t.n(n), d=d, box=box[0], bn=box[1], col=r.pick(COLOURS))
    t.intro()
    t.s("one {day|rainy day|morning}, <a> found an old map {in the attic|in a bottle|between two pages of a book}.", "one day, <a> dug up a tin. inside was an old map.")
    t.s("\"go <pl.to>,\" it said. \"look <z1>.\"", "on the map was a^ <col> line that {went|led} <pl.to>, and {below|under} it were the words: \"look <z1>.\"")
    t.s("<a> {called|ran to get} <b.intro>, and they set off{ at once|}.")
    t.p()
    t.way(45)
    t.s("<pl.at>, <z1>, they found {a note|a piece of paper|a small tin with a note in it}. \"now go <p2.to>. take <n> steps to the <d>, then dig <z2>.\"")
    t.s("\"{come on|hurry}!\" {cried|said} <b>, and they ran <p2.to>.", "so they {went on|hurried} <p2.to>.")
    t.s("<a> counted <n> steps to the <d>. <b> {began to dig|dug with a small spade} <z2>.", "they took <n> steps to the <d>, and {dug and dug|began to dig} <z2>.")
    t.p()
    t.s("{clunk|knock}! {the spade|something} hit {wood|a box}. {inside the box was|they opened the box, and inside was} <box>!".replace("hit {wood|a box}. {inside the box was|they opened the box, and inside was}", "hit wood. it was a box, and inside %s" % ("were" if box[0].startswith("seven") else "was")).replace("{the spade|something}", "something"))
    t.s("\"we {will|must} share it,\" said <a>. {and so they did|\"half for you and half for me.\"}" if box[1] in ("coins", "sweets") and not box[0].startswith("seven") else "\"it belongs to both of us,\" said <a>. \"you keep it today, and I keep it tomorrow.\"")
    t.s("they drew a new map {for someone else to find|and put it in a bottle}.", "\"but the best part was the {search|way there},\" said <b>.", "\"that was the best {game|day} ever,\" said <b>.")
    t.close(25)


def sick(t):
    r = t.r
    t.who("a"); t.who("b"); t.elder(); t.day()
    what = r.pick((("a pot of hot soup", "ate the soup"), ("a cup of warm tea", "drank the tea"), ("a bunch of flowers", "smelled the flowers"), ("a funny book", "laughed about the book"), ("a jar of honey", "ate a spoon of honey")))
    t.put(x=what[0], did=what[1], ill=r.pick(("a cold", "a bad cough", "a sore throat", "a fever")))
    t.intro()
    t.s("every {day|morning}, <a> and <b.intro> {played together|walked to school together}." if t.people else "every {day|morning}, <a> and <b.intro> {played together|walked in the woods together}.")
    t.s("but one <w> <time>, <b> {did not come|was not there}. {<a> waited and waited|<a> looked everywhere}.")
    t.s("\"<b> is sick,\" said <g>. \"<b.he> has <ill> and must stay in bed.\"")
    t.s("<a> was {sad|worried}. \"what can I do {for <b>|to help}?\" <a.he> {asked|thought}.")
    t.p()
    t.s("<a> went to <b>'s house with <x>.", "so <a> took <x> and {walked|went} to <b>'s house.")
    t.way(35)
    t.s("<b> {lay in bed|was under a thick blanket} and looked {pale|tired}. but when <b.he> saw <a>, <b.he> smiled.")
    t.say("a", "{I brought you something.|this is for you.|how do you feel?}")
    t.s("<b> <did>. \"{now I feel a little better|that is so kind of you},\" <b.he> said.")
    t.s("<a> {told <b.him> a story|sang a quiet song|sat by the bed} until <b> fell asleep.", "")
    t.p()
    t.s("{the next day|two days later|after three days}, <b> was well again. {they ran outside together|<b.he> jumped out of bed}.", "each day <a> came back, and each day <b> was a little better. {soon|on the fourth day} <b.he> was well.")
    t.say("b", "{you made me well.|when you are sick, I will come to you.|thank you for coming.}", how="said")
    t.moral(45, "{a visit can be the best medicine|a true friend comes when you are ill|kindness helps as much as medicine}.")


def mystery(t):
    r = t.r
    t.who("a"); t.elder(); people = t.people
    f = r.pick([x for x in FOODS if x[0] in ("cookie", "bun", "muffin", "cake", "pancake", "cherry", "strawberry", "nut")])
    n = r.span(4, 12); k = r.span(1, n - 1)
    thief, clue = r.pick((("the cat", "small paw prints on the floor"), ("the dog", "big paw prints on the floor"), ("a mouse", "tiny crumbs that led to a hole in the wall"), ("a crow", "a black feather on the windowsill"), ("a squirrel", "a bushy tail behind the curtain"), ("the goat", "a bitten napkin by the door"), ("a raccoon", "wet prints below the window")))
    if thief.split()[-1] in t.kinds or (thief == "a crow" and "crow" in t.c["g"].name) or (thief == "the goat" and "goat" in t.c["g"].name):
        thief, clue = "a magpie", "a black and white feather on the windowsill"
    t.put(n=t.cnt(n, f), k=t.cnt(k, f), left=t.n(n - k), xs=f[1], thief=thief, th=thief.split(" ", 1)[1], clue=clue, miss=t.n(k))
    t.intro()
    t.s("{<g>|<a>} had {put|left} <n> on a plate {by the window|on the table}.", "there were <n> on the kitchen table.")
    t.s("{an hour later|after lunch|the next morning}, there {%s} only <left>." % ("was" if n - k == 1 else "were"))
    t.say("a", "{who took the <xs>?|<miss> {%s} gone!|someone has taken <k>!}" % ("is" if k == 1 else "are"))
    t.say("g", "{it was not me.|I have not touched them.|I did not see anyone.}")
    t.s("\"{then |}I will find out {who did it|who it was},\" said <a>.", "")
    t.p()
    t.s("<a> looked {carefully|around the room|for clues}. <a.he> found <clue>.", "on <a.his> hands and knees, <a> looked for clues. <a.he> found <clue>.")
    t.s("<a> followed the clue {quietly|on tiptoe}. and who was there? it was <thief>, with {crumbs|sugar} on its face!" if f[0] not in ("cherry", "strawberry", "nut") else "<a> {hid behind the door|waited} and watched. soon <thief> {came back|crept in} to take another one!",
        "then <a> {heard a small noise|looked behind the stove}. there sat <thief>, {eating|with its mouth full}.")
    t.say("a", "{so it was you!|I have found the thief!|it was <thief>!}", how="{cried|laughed}")
    t.s("the <th> {looked very sorry|ran away as fast as it could|knew that it had been caught}.")
    t.p()
    t.s("<g> laughed. \"{well done, you are a real detective|now we know, and next time we will close the window},\" <g.he> said.", "\"{it was only hungry|poor thing},\" said <g>, and {put out a bowl of food for it|gave it some bread}.")
    t.s("then they ate the <left> that were left.".replace("the <left> that were left", "the <left> that were left" if n - k > 1 else "the last one together"), "from then on, the <xs> were kept {in a tin|in a cupboard}.")


def opposites(t):
    r = t.r
    t.who("a"); t.who("b"); t.place()
    p = r.pick((("loud", "quiet", "scare away the crows", "watch the shy deer"), ("tall", "short", "reach the top shelf", "crawl under the fence"), ("fast", "slow", "run for help", "walk over the thin ice"), ("strong", "gentle", "push the cart out of the mud", "hold the tiny bird"),
                ("early", "late", "bake the morning bread", "watch the stars"), ("neat", "messy", "tidy the house", "paint a wild picture"), ("bold", "careful", "knock on the giant door", "carry the eggs"), ("warm", "cool", "heat the stones", "keep the milk fresh"))[:7])
    adv = {"early": "got up early", "late": "got up late"}
    t.put(p=p[0], q=p[1], dp=p[2], dq=p[3])
    isp = "<a> always %s" % adv[p[0]] if p[0] in adv else "<a> was <p>"
    isq = "<b> always %s" % adv[p[1]] if p[1] in adv else "<b> was <q>"
    t.s("<a> and <b> were {friends|neighbours|best friends}, but they were {very different|not the same at all}.", "once upon a time, there were two friends, <a> and <b>." if t.people else "once upon a time, there were two friends, <a> the <a.kind> and <b> the <b.kind>.")
    t.s(isp + ", but " + isq + ".", isp + ". " + isq + ".")
    t.s("{when <a> said yes, <b> said no|what <a> liked, <b> did not like|when one wanted to go up, the other wanted to go down}.", "\"why can you not be more like me?\" {asked <b>|asked <a>}.")
    t.p()
    t.s("one day {<pl.at>|in the village|on the farm}, they had to <dp>. {<b> tried, but <b.he> could not do it|<b> was not able to do it}.")
    t.s("\"let me try,\" said <a>. because <a.he> was so <p>, it was easy." if p[0] not in adv else "\"I can do it,\" said <a>. because <a.he> %s, it was easy." % adv[p[0]])
    t.s("{the next day,|later that day,|then} they had to <dq>. {this time|now} <a> could not do it. <a.he> was {far |}too <p>." if p[0] not in adv else "{the next day|later}, they had to <dq>. this time <a> could not do it. <a.he> was already asleep.")
    t.s("\"let me try,\" said <b>. because <b.he> was <q>, {it was no trouble|it went well}." if p[0] not in adv else "\"that is something for me,\" said <b>, and <b.he> did it {well|very well}.")
    t.p()
    t.s("<a> and <b> looked at each other and {laughed|smiled}. \"{it is good that we are different|you can do what I cannot},\" said <a>.")
    t.s("\"{together we can do everything|and you can do what I cannot},\" said <b>.", "")
    t.moral(50, "{it is good to be different|two different friends are stronger than two who are the same}." + ("" if p[0] in adv else " <p> is the opposite of <q>, and both are good." if r.chance(40) else ""))


def compare(t):
    """two piles: who has more, evening out"""
    r = t.r
    t.who("a"); t.who("b"); f = r.pick(COUNTS + FOODS); t.place(); t.day("sun")
    n = r.span(2, 12); k = r.span(1, 12)
    while k == n:
        k = r.span(1, 12)
    hi, lo = ("a", "b") if n > k else ("b", "a"); d = abs(n - k)
    t.put(n=t.cnt(n, f), k=t.cnt(k, f), xs=f[1], x=f[0], hi=t.c[hi], lo=t.c[lo], d=t.n(d), box=f[2], tot=t.cnt(n + k, f) if n + k <= 20 else "", nn=t.n(n), kk=t.n(k))
    t.s("<a> and <b> went out to {find|gather} <xs>." if f[0] in FRUIT or f[0] in ("shell", "stone", "feather", "leaf", "acorn", "flower", "pine cone") else "<a> and <b> both {liked|loved} <xs>.",
        "<a> and <b.intro> {met|sat} <pl.at>. {each had|both had} some <xs>.")
    t.s("<a> had <n> and <b> had <k>.", "<a> counted <n>. <b> counted <k>.")
    t.s("<hi> had more than <lo>.", "<lo> had fewer <xs> than <hi>.", "<hi> had <d> more than <lo>.", "<lo> had <d> fewer than <hi>.")
    t.p()
    t.say(lo, "{you have more than I do.|that is not fair.|I wish I had as many as you.}", how="said", adv="{sadly|quietly}")
    if d % 2 == 0:
        e = (n + k) // 2; t.put(e=t.cnt(e, f), m=t.n(d // 2), ee=t.n(e))
        t.s("<hi> {thought for a moment|counted again}. \"I will give you <m>{ of mine|},\" <hi.he> said.")
        t.s("now <a> had <e> and <b> had <e>. {both had the same|it was fair}.", "now each of them had <e>.")
    elif n + k <= 20 and r.chance(60):
        t.s("\"let us put them {all |}together,\" said <hi>. \"<nn> and <kk> make <tn>.\"".replace("<tn>", t.n(n + k)))
        t.s("so they put all <tot> in one {big |}<box>{, and then they belonged to both|}.")
    else:
        t.put(d1=t.n(d))
        t.s("\"{then I will help you find <d> more|let us look for <d> more},\" said <hi>.")
        t.s("they looked <s1> and <s2>. {soon|before long} <lo> had found <d> more. now both had %s." % t.cnt(max(n, k), f))
    t.p()
    t.s("<lo> {smiled|was happy}. \"{thank you|you are a good friend}, <hi>,\" <lo.he> said.", "then they {sat <s1> and laughed|walked home together, arm in arm}.")
    t.moral(45, "{fair is fair|it is nice when everyone has the same|friends help each other}.")
    t.close(25)


def split(t):
    """equal sharing"""
    r = t.r
    t.who("a"); k = r.span(2, 4); each = r.span(1, 5); f = r.pick(FOODS)
    keys = ["b", "c", "d"][:k - 1]
    for x in keys:
        t.who(x)
    t.elder()
    names = [t.c[x].name for x in keys]
    n = k * each + (1 if k * each < 20 and r.chance(30) else 0); rest = n - k * each
    t.put(n=t.cnt(n, f), k=t.n(k), e=t.cnt(each, f), ee=t.n(each), xs=f[1], x=f[0], al=", ".join(["<a>"] + names[:-1]) + " and " + names[-1] if k > 2 else "<a> and " + names[0], box=f[2])
    t.s("<g> {came home with|had|brought} <n>.", "<g> gave the {children|friends} a <box> with <n> in it.".replace("{children|friends}", "children" if t.people else "friends"), "<a> had <n> and did not want to eat them alone.")
    t.s("there were <k> friends: <al>.", "<al> were {hungry|waiting}.".replace("<al> were", "<al> were all" if k > 2 else "<al> were both"))
    t.say("a", "{how can we share them?|how many does each of us get?|we must share them fairly.}")
    t.p()
    t.put(b1=t.c["b"])
    t.s("\"one for you, one for me,\" said <b1>, and gave {them out|out the <xs>} one by one.", "<b1> {put them in a row|thought hard} and {counted|made <k> small piles}.")
    if rest:
        t.s("each of them got <e>, and one <x> was left over.", "that made <e> for each one, with one left over.")
        t.s("\"who gets the last one?\" asked <b1>. \"{<g> does|let us give it to <g>},\" said <a>.", "they gave the last one to a hungry {bird|dog|mouse}.", "they cut the last one into <k> pieces.")
    else:
        t.s("each of them got <e>, and nothing was left over.", "<n> for <k> friends makes <ee> each. {everyone got the same|that was fair}.")
    t.s("{they sat in the sun and ate|nobody got more and nobody got less}.", "everyone was {happy|content}, and nobody {argued|had less than the others}.")
    t.say("g", "{well shared!|that was fair.|I am proud of you.}", how="said")
    t.moral(40, "{when you share fairly, everyone is happy|fair sharing makes good friends}.")


def seasons(t):
    """a saver and a player; the winter comes"""
    r = t.r
    t.who("a"); t.who("b"); f = r.pick((("nuts", "nuts"), ("corn", "grains"), ("wood", "logs"), ("apples", "apples"), ("honey", "jars")))
    t.put(x=f[0])
    help_ = r.chance(70)
    t.s("<a> and <b> were neighbours. {all summer|in the long summer}, <a> worked and <b> {played|sang|slept in the sun}." if t.people else "<a> the <a.kind> and <b> the <b.kind> were neighbours. {all summer|in the long summer}, <a> worked and <b> {played|sang|slept in the sun}.")
    t.s("every day <a> {gathered|stored} <x> for the winter. {<a.his> back was tired, but <a.his> shed was full|little by little, <a.his> shed grew full}.", "<a> carried <x> into the shed from morning to night.")
    t.say("b", "{why do you work so hard?|come and play with me!|winter is far away!}", how=None)
    t.say("a", "{winter will come.|I want to be ready when it is cold.|summer is short and winter is long.}", how="said")
    t.s("but <b> only laughed{ and went on playing|}.")
    t.p()
    t.s("{then|soon} autumn came. the leaves turned {red and yellow|brown} and fell. after autumn came winter, and {snow covered everything|the ground was hard and white}.")
    t.s("<a> {sat by a warm fire|was warm and had enough to eat}. but <b> was {cold and hungry|cold, and there was nothing to eat}.")
    t.s("<b> {knocked|tapped} at <a>'s door. \"{please help me|I have nothing},\" <b.he> said. \"{I should have worked too|you were right}.\"")
    t.p()
    t.s("<a> {opened the door wide|let <b.him> in}. \"{come in, there is enough for two|sit by the fire and eat},\" <a.he> said.")
    t.s("<b> was {very thankful|so glad}. \"next summer I will {work with you|help you},\" <b.he> said. and when {spring|summer} came, {<b.he> did|<b> kept <b.his> word}.")
    t.moral(60, "{there is a time to work and a time to play|think of winter while it is summer|work today and rest tomorrow}.")


PACK = words("a warm jumper, a red apple, a map, two sandwiches, a bottle of water, a torch, a box of crayons, a blanket, a pair of socks, "
             "a book, a rope, a tin cup, a compass, a toothbrush, a ball, a raincoat, three plums, a whistle, a notebook, a cap, a spoon, "
             "a bar of soap, a piece of cheese, a small pillow, a magnifying glass, a towel, a comb, a loaf of bread, a bag of nuts, a kite")


def the_one(item):
    """a red apple -> the red apple; two sandwiches -> the two sandwiches"""
    return "the " + (item.split(" ", 1)[1] if item.startswith(("a ", "an ")) else item)


def and_list(items):
    return ", ".join(items[:-1]) + " and " + items[-1]


def pack(t):
    """a list, and one thing of it that is missing"""
    r = t.r
    t.who("a"); t.elder(); n = r.span(3, 5); items = r.sample(PACK, n); miss = r.below(n)
    put = [x for i, x in enumerate(items) if i != miss]
    mix = r.sample(put, len(put))
    t.put(all=and_list(items), got=and_list([the_one(x) for x in mix]), miss=items[miss], themiss=the_one(items[miss]), n=t.n(n), left=t.n(n - 1),
          trip=r.pick(("go camping", "visit <a.his> cousin", "climb the hill", "sail to the island", "go on a school trip" if t.people else "go on a long trip", "spend the night in the tent", "walk to the lighthouse")),
          bag=r.pick(("bag", "basket", "suitcase", "sack", "rucksack")), where=r.pick(("on the bed", "under a chair", "by the door", "on the windowsill", "behind a pillow", "in the hall")))
    t.intro()
    t.s("<a> was going to <trip>. <g> {made|wrote} a list: <all>.", "\"for the trip you need <n> things,\" said <g>. \"<all>.\"")
    t.s("<a> {ran about|looked everywhere} and {filled|packed} the <bag>. in went <got>.", "into the <bag> went <got>.")
    t.p()
    t.say("g", "{do you have everything?|is that all?|have you packed it all?}")
    t.s("<a> counted. there were only <left> things in the <bag>.", "<a> looked at the list {again|once more}, one word after the other.")
    t.say("a", "{I have <got>, but not <themiss>.|<themiss> is missing!|I forgot <themiss>!}" if not items[miss].startswith(("two", "three")) else "{I have <got>, but not <themiss>.|I forgot <themiss>!}", how="said" if r.chance(50) else None)
    one = not items[miss].startswith(("two", "three"))
    t.s("{it was|it lay} <where>." if one else "they {were|lay} <where>.", "<a.he> found %s <where>." % ("it" if one else "them"))
    t.s("now all <n> things were in the <bag>, and <a> could <trip>.", "so <themiss> went in %s, and the <bag> was {full|ready}." % "too")
    t.moral(35, "a list {is a good helper|helps when the head is full}.", "look twice before you leave.")
    t.close(30)


SIGHTS = [("swan", "swans", "on the lake"), ("cow", "cows", "behind a fence"), ("horse", "horses", "by the gate"), ("boat", "boats", "on the river"), ("windmill", "windmills", "on the hill"), ("cart", "carts", "in front of the inn"),
          ("flag", "flags", "on the tower"), ("cat", "cats", "on a roof"), ("scarecrow", "scarecrows", "in the field"), ("balloon", "balloons", "above the trees"), ("chimney", "chimneys", "over the houses"), ("butterfly", "butterflies", "in the clover"),
          ("frog", "frogs", "in the ditch"), ("lamp", "lamps", "along the street"), ("snail", "snails", "on a wet wall"), ("bicycle", "bicycles", "outside the school"), ("barrel", "barrels", "next to the cellar door"), ("pigeon", "pigeons", "on the statue"),
          ("sunflower", "sunflowers", "by the wall"), ("kite", "kites", "over the field")]


def walk(t):
    """what was seen is told again later"""
    r = t.r
    t.who("a"); t.elder(); n = r.span(2, 4); t.day("sun")
    sights = r.sample(SIGHTS, n); seen = []
    for one, many, where in sights:
        k = r.span(1, 6); col = r.pick(COLOURS) if one not in ("swan", "cow", "horse", "frog", "snail", "scarecrow", "pigeon", "sunflower", "cat") else r.pick(("white", "brown", "little", "big", "old" if one != "sunflower" else "tall"))
        seen.append(("a^ %s %s" % (col, one) if k == 1 else "%s %s %s" % (t.n(k), col, many), where))
    t.intro()
    t.s("one <w> <time>, <a> went for a {long |}walk{ all alone| with <a.his> stick|}.", "one <w> <time>, <a> walked all the way to {the mill|the sea|the next village|the old tower} and back.")
    t.p()
    for i, (what, where) in enumerate(seen):
        t.put(x=what, wh=where)
        t.s("first <a.he> saw <x> <wh>." if i == 0 else "{then|next|a little later|after that} <a.he> {saw|came to|passed} <x> <wh>.",
            "<wh> <a.he> {saw|counted|found} <x>.")
    t.p()
    t.say("g", "{what did you see?|what did you see on your walk?|did you see anything nice?}")
    w = [x for x, _ in seen]
    t.put(l=", then ".join(w) if r.chance(50) else and_list(w), last=w[-1], first=w[0])
    t.s("\"I saw <l>,\" said <a>.", "<a> thought. \"{there was so much to see|let me think}! <l>,\" <a.he> said.")
    t.s("\"and what did you see first?\" {asked <g>|<g> asked}. \"<first>,\" said <a>.", "\"and what came last?\" {asked <g>|<g> asked}. \"<last>,\" said <a>.", "")
    t.say("g", "{you have good eyes.|you have a good memory.|next time I will come with you.|that was a fine walk.}", how="said")
    t.close(30)


RIDDLES = [("I have teeth but I cannot bite", "a^ comb"), ("I have hands but I cannot clap", "a^ clock"), ("I have a neck but no head", "a^ bottle"), ("I get wet while I dry you", "a^ towel"), ("the more you take away from me, the bigger I get", "a^ hole"),
           ("I am full of holes but I can hold water", "a^ sponge"), ("I go up and down but I never move", "a^ staircase"), ("I have one eye but I cannot see", "a^ needle"), ("I have leaves but I am not a tree", "a^ book"), ("I fly without wings and cry without eyes", "a^ cloud"),
           ("I follow you in the sun and leave you in the dark", "a^ shadow"), ("I am white in winter and gone in spring", "a^ snowman"), ("I have a tongue but I cannot talk", "a^ shoe"), ("I carry my house on my back", "a^ snail"), ("I have four legs but I cannot walk", "a^ table"),
           ("I wear a coat of wool all year", "a^ sheep"), ("I am yellow and I wake you every morning", "the sun"), ("I sleep by day and fly by night", "a^ bat"), ("I make sweet gold out of flowers", "a^ bee"), ("I have a bed but I never sleep", "a^ river"),
           ("I am round at night and thin a week later", "the moon"), ("I run all day on the wall but I stay where I am", "a^ clock"), ("you can break me without touching me", "a^ promise"), ("I have keys but no doors", "a^ piano")]


def riddle(t):
    r = t.r
    t.who("a"); t.who("b"); n = r.span(1, 3); rid = r.sample(RIDDLES, n + 1); t.place()
    t.s("<a> and <b> {sat|met} <pl.at>. \"let us {ask riddles|tell riddles|play a guessing game},\" said <a>.", "<a> knew many riddles. one day <pl.at>, <a.he> {asked|tested} <b.intro>.")
    for i in range(n):
        q, ans = rid[i]
        wrong = r.pick([x[1] for x in RIDDLES if x[1] != ans])
        x, y = ("a", "b") if i % 2 == 0 else ("b", "a")
        t.put(q=q, ans=ans, wrong=wrong, x=t.c[x], y=t.c[y])
        t.p()
        t.s("\"<q>. what am I?\" asked <x>.", "<x> {said|began}, \"<q>. what am I?\"")
        if r.chance(50):
            t.s("<y> {scratched <y.his> head|thought}. \"<wrong>?\" <y.he> {guessed|asked}. \"no,\" {said <x>|laughed <x>}. \"{try again|think again}.\"")
            t.s("\"then you are <ans>!\" {cried|said} <y>. \"{yes|right|that is right}!\" said <x>.", "<y> gave up. \"it is <ans>,\" said <x>{ and laughed|}.")
        else:
            t.s("\"that is easy,\" said <y>. \"<ans>!\"", "<y> {thought for a long time|closed <y.his> eyes}. \"<ans>?\" <y.he> asked. \"{yes|right}!\" said <x>.")
    t.p()
    t.s("they {laughed and went on|played} until {supper|it was dark|they had no more riddles}.", "\"now I will think of a hard one,\" said <a>. \"<fq>.\" but <b> knew that one too: <fa>.".replace("<fq>", rid[n][0]).replace("<fa>", rid[n][1]))
    t.close(20)


LONGER = [("tall", "taller", "tallest", "short", "shorter", "shortest"), ("old", "older", "oldest", "young", "younger", "youngest"), ("strong", "stronger", "strongest", "weak", "weaker", "weakest"), ("fast", "faster", "fastest", "slow", "slower", "slowest"), ("loud", "louder", "loudest", "quiet", "quieter", "quietest")]


def order(t):
    """x > y and y > z: who is first, who is last"""
    r = t.r
    t.who("a"); t.who("b"); t.who("c"); t.elder(); t.place()
    up, upper, upmost, lo, lower, lomost = r.pick(LONGER)
    x, y, z = r.sample(("a", "b", "c"), 3)
    t.put(x=t.c[x], y=t.c[y], z=t.c[z], up=up, er=upper, est=upmost, ler=lower, lest=lomost)
    t.s("<a>, <b> and <c> were friends. one day {<pl.at>|on the way home} they {argued|wondered}. \"who is the <est> of us?\" they asked.", "three friends, <a>, <b> and <c>, {stood|sat} <pl.at>. \"I want to know who is the <est>,\" said <a>.")
    t.s("they {asked|called} <g> to help them{ find out|}.", "<g> {heard them and came|came by}. \"{let us see|that is easy to find out},\" <g.he> said.")
    if up in ("tall",):
        t.s("they stood back to back.", "<g> made a mark on the wall for each of them.")
    elif up == "fast":
        t.s("they ran to the {gate|tree} and back.", "<g> let them run twice around the house.")
    elif up == "strong":
        t.s("each of them tried to lift the {sack of flour|heavy stone}.", "they pulled on a rope, two at a time.")
    elif up == "loud":
        t.s("each of them {shouted|sang} across the valley.", "one after the other, they called as loud as they could.")
    else:
        t.s("each of them told {when they were born|how old they were}.")
    t.p()
    facts = ["<x> was <er> than <y>.", "<y> was <er> than <z>."] if r.chance(60) else ["<y> was <ler> than <x>.", "<z> was <ler> than <y>."]
    if r.chance(40):
        facts.reverse()
    for f in facts:
        t.s(f)
    if r.chance(50):
        t.s("\"then <x> {is the <est>|must be the <est> of all},\" said <g>. \"and <z> is the <lest>.\"")
    else:
        t.s("\"so who is the <est>?\" asked <g>. \"<x>!\" {they said|said <y>}. \"and the <lest> is <z>.\"")
    t.s("<z> looked a little sad. \"do not be sad,\" said <x>. \"you are the {kindest|funniest|best singer} of us.\"",
        "<z> {laughed|smiled}. \"I do not mind being the <lest>,\" <z.he> said.")
    t.s("and <y>, who was in the middle, {said nothing|laughed at them both|was happy too}.", "")
    t.moral(35, "it does not matter who is the <est>, as long as you are friends.")


def guess(t):
    """guess a number: low, high, right"""
    r = t.r
    t.who("a"); t.who("b"); top = r.pick((10, 20)); secret = r.span(1, top)
    t.put(top=t.n(top), one=t.n(1))
    t.s("it {rained|snowed}, and <a> and <b> {played inside|had nothing to do}. \"I am thinking of a number from <one> to <top>,\" said <a>.", "<a> {thought of a number|had a secret number}. \"it is from <one> to <top>,\" <a.he> {told|said to} <b>. \"can you guess it?\"")
    lo, hi, tries = 1, top, 0
    while True:
        g = (lo + hi) // 2 if r.chance(50) else r.span(lo, hi)
        tries += 1
        t.put(g=t.n(g))
        t.s("\"is it <g>?\" asked <b>.", "\"<g>?\" {asked|guessed} <b>.", "<b> {thought|guessed again|tried again}. \"is it <g>?\"" if tries > 1 else "<b> {thought|began}. \"is it <g>?\"")
        if g == secret:
            break
        if g < secret:
            lo = g + 1
            t.s("\"no, {my number is bigger|it is more than <g>|that is too low|higher},\" said <a>.")
        else:
            hi = g - 1
            t.s("\"no, {my number is smaller|it is less than <g>|that is too high|lower},\" said <a>.")
        if lo == hi and r.chance(60):
            t.put(g=t.n(lo)); tries += 1
            t.s("\"then it must be <g>!\" {cried|said} <b>.")
            break
    t.p()
    t.put(tr=t.n(tries) + (" try" if tries == 1 else " tries"), g=t.n(secret))
    t.s("\"yes, {it is|it was} <g>!\" {said|cried} <a>. \"{you needed|that took you} <tr>.\"", "\"right! <g> was my number,\" {said|laughed} <a>. <b> had needed <tr>.")
    t.s("then it was <b>'s turn to think of a number.", "\"now it is my turn,\" said <b>{ and thought of a new number|}.", "\"that was only luck,\" said <b>{ and laughed|}." if tries < 3 else "\"that was a hard one,\" said <b>{ and laughed|}.")
    t.close(30)


HOURS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def clock(t):
    """the hours of a day"""
    r = t.r
    t.who("a"); t.who("b"); t.elder(); h = r.span(6, 8)
    acts = r.sample(("<a.he> {swept the floor|fed the hens}", "<a.he> {mended a basket|painted a chair}", "<a.he> {read a story|wrote a letter}", "<a.he> {worked in the garden|picked berries}", "<a.he> {baked bread|cooked soup}", "<a.he> {played with <b>|went for a walk with <b>}", "<a.he> {washed the windows|cut the wood}", "<a.he> {learned a new song|practised the flute}"), 4)
    t.intro()
    t.s("<a> had a clock and {did everything at the right time|looked at it all day long}. one day went like this.", "<g> gave <a> a {silver|little|round} clock. \"now you will always know the time,\" <g.he> said.")
    t.p()
    t.put(h=HOURS[h - 1])
    t.s("at <h> o'clock, <a> {got up|woke up|jumped out of bed} and {ate breakfast|had breakfast}.")
    prev, k = h, h
    for i in range(r.span(2, 4)):
        k = prev + r.span(1, 2)
        t.put(h=HOURS[(k - 1) % 12], d="one hour" if k - prev == 1 else t.n(k - prev) + " hours", pre=HOURS[(prev - 1) % 12])
        act = acts[i]
        t.s("at <h> o'clock, " + act + ".", "<d> later, at <h> o'clock, " + act + ".")
        prev = k
    t.p()
    e = prev + r.span(1, 3); t.put(e=HOURS[(e - 1) % 12], d="one hour" if e - prev == 1 else t.n(e - prev) + " hours", pre=HOURS[(prev - 1) % 12])
    t.s("\"when is {supper|tea}?\" asked <b>. \"at <e> o'clock,\" said <g>. \"it is <pre> o'clock now, so you must wait <d>.\"")
    t.s("<a> {waited|sat down and waited}. the clock {ticked|went tick, tock} {slowly|on and on}. <d> later, {it was <e> o'clock|the clock struck <e>}, and they {all sat down to eat|ate together}.")
    t.close(35)


DRESS = {"rain": (("a raincoat", "high boots", "a rain hat"), "wet", "jump over the puddles", "dry"), "snow": (("a thick coat", "warm mittens", "a woolly hat"), "cold", "build a snowman", "warm"),
         "sun": (("a straw hat", "a light shirt", "sandals"), "hot", "splash in the stream", "cool"), "wind": (("a cap tied with a string", "a long scarf", "a coat with buttons"), "cold in the wind", "fly a kite", "warm")}


def dress(t):
    """the right clothes for the weather"""
    r = t.r
    t.who("a"); t.who("b"); t.elder(); w = t.day(); things, bad, fun, good = DRESS[w]
    other = r.pick([k for k in DRESS if k != w]); wrong = r.pick(DRESS[other][0])
    x, y = r.sample(things, 2)
    t.put(x=x, y=y, bad=bad, fun=fun, good=good, wrong=wrong)
    t.intro()
    t.s("it was a^ <w> {day|morning}.", "one <w> <time>, <a> wanted to go out.")
    t.sky(85)
    t.s("<a> put on <wrong> and {ran to the door|wanted to go out}. \"{stop|wait},\" said <g>. \"look out of the window first!\"")
    t.s("<a> {looked|looked out}. \"oh,\" <a.he> said. \"{I will be <bad> like this|this is not right for today}.\"")
    t.s("so <a.he> {took off|put away} <thew> and put on <x> and <y>.".replace("<thew>", the_one(wrong) if wrong.startswith(("a ", "an ")) else "the " + wrong))
    t.p()
    t.s("outside, <a> met <b>, who had {come out|gone out} in <wrong>. <b> was <bad>.", "then <b> came {by|along} in <wrong>, and <b.he> was <bad>.")
    t.s("\"{come in|wait here},\" said <a>. \"{I have|we have} <x> for you too.\" soon they were both {<good>|nice and <good>}.")
    t.s("then they went to <fun>. {what fun it was|they laughed and shouted}!", "they {could|were able to} <fun> all {afternoon|day long}.")
    t.moral(45, "look at the sky before you dress.", "there is no bad weather, only the wrong clothes.")


ARCS = [(lost, 9), (promise, 7), (broken, 6), (share, 6), (count, 14), (need, 5), (shop, 6), (tool, 8), (race, 5), (newfriend, 5),
        (bigsmall, 4), (rainplan, 5), (fear, 5), (skill, 6), (gift, 5), (greedy, 4), (finder, 6), (baby, 5), (garden, 5), (hideseek, 4),
        (tower, 4), (bedtime, 3), (crywolf, 3), (trade, 4), (letter, 4), (soup, 4), (treasure, 4), (sick, 4), (mystery, 4), (opposites, 4),
        (compare, 6), (split, 4), (seasons, 3),
        (pack, 5), (walk, 6), (riddle, 5), (order, 5), (guess, 6), (clock, 4), (dress, 4)]
ARC_LIST = [f for f, k in ARCS for _ in range(k)]


def story(seed, index, arc=None):
    t = Tale(seed, index)
    (arc or t.r.pick(ARC_LIST))(t)
    return t.text()


def main():
    ap = argparse.ArgumentParser(description="write short stories from a grammar")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--stories", type=int, default=1000)
    ap.add_argument("--first", type=int, default=0, help="index of the first story")
    ap.add_argument("-o", "--output", default="-")
    ap.add_argument("--arc", help="only this kind of story (a function's name)")
    a = ap.parse_args()
    arc = globals()[a.arc] if a.arc else None
    out = sys.stdout.buffer if a.output == "-" else open(a.output, "wb")
    for i in range(a.first, a.first + a.stories):
        out.write(((("\n" if i > a.first else "") + story(a.seed, i, arc)) + "\n").encode())
    out.flush()


if __name__ == "__main__":
    main()
