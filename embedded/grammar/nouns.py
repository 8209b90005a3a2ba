"""The nouns of the closed world: each with its category and its definition, plurals and articles."""

from embedded.grammar.text import words

# noun | category | definition
_NOUNS = """
cat | animal | a small pet that purrs and catches mice
dog | animal | a friendly pet that barks and guards the house
horse | animal | a large animal that people can ride
cow | animal | a large farm animal that gives milk
sheep | animal | a farm animal that gives wool
pig | animal | a pink farm animal that likes mud
lion | animal | a big wild cat with a mane
tiger | animal | a big wild cat with stripes
elephant | animal | a huge gray animal with a long trunk
mouse | animal | a tiny animal with a long tail that likes cheese
rabbit | animal | a small animal with long ears that hops
monkey | animal | a clever animal that climbs trees
bear | animal | a big furry animal that sleeps in winter
fox | animal | a wild animal with red fur and a bushy tail
wolf | animal | a wild animal that howls and lives in a pack
eagle | bird | a large bird with sharp eyes that hunts
owl | bird | a bird that hunts at night
duck | bird | a bird that swims on ponds and quacks
penguin | bird | a black and white bird that swims but cannot fly
parrot | bird | a colorful bird that can copy words
swan | bird | a white water bird with a long neck
crow | bird | a clever black bird
ant | insect | a tiny insect that lives in a large colony
bee | insect | an insect that makes honey
butterfly | insect | an insect with large colorful wings
fly | insect | a small insect that buzzes around food
beetle | insect | an insect with a hard shell
apple | fruit | a round fruit that grows on trees
banana | fruit | a long yellow fruit with a soft inside
orange | fruit | a round juicy fruit with a thick peel
grape | fruit | a small round fruit that is used to make wine
pear | fruit | a sweet green or yellow fruit with a narrow top
cherry | fruit | a small red fruit with a stone inside
lemon | fruit | a sour yellow fruit
peach | fruit | a soft sweet fruit with fuzzy skin
carrot | vegetable | a long orange root that you can eat
potato | vegetable | a root that is used to make fries
onion | vegetable | a round vegetable that can make you cry
cabbage | vegetable | a round vegetable with many leaves
pea | vegetable | a tiny round green vegetable
bean | vegetable | a seed that grows in a long pod
spinach | vegetable | a plant with dark green leaves that you can eat
water | drink | a clear drink that everyone needs
milk | drink | a white drink that comes from cows
tea | drink | a hot drink made from leaves
coffee | drink | a dark hot drink made from roasted beans
juice | drink | a sweet drink made from fruit
bread | food | a food baked from flour and water
cheese | food | a food made from milk
rice | food | a food made of small white grains
soup | food | a hot liquid food that you eat with a spoon
cake | food | a sweet food for birthdays
pizza | food | a flat round bread with cheese and tomato
pasta | food | an Italian food made from flour and eggs
chair | furniture | a seat for one person
table | furniture | a flat top on legs where people eat or work
bed | furniture | a soft place to sleep
sofa | furniture | a long soft seat for several people
desk | furniture | a table for reading and writing
shelf | furniture | a flat board that holds books
hammer | tool | a tool for hitting nails
saw | tool | a tool for cutting wood
drill | tool | a tool for making holes
shovel | tool | a tool for digging
wrench | tool | a tool for turning bolts
brush | tool | a tool for painting
ladder | tool | a tool for climbing up high
car | vehicle | a vehicle with four wheels and a motor
bus | vehicle | a large vehicle that carries many passengers
bicycle | vehicle | a vehicle with two wheels and pedals
train | vehicle | a long vehicle that runs on rails
boat | vehicle | a small vehicle that floats on water
plane | vehicle | a vehicle that flies through the air
truck | vehicle | a large vehicle that carries heavy loads
shirt | clothing | something with sleeves that you wear on your upper body
hat | clothing | something that you wear on your head
shoe | clothing | something that you wear on your foot
coat | clothing | something warm that you wear outside in winter
glove | clothing | something that keeps your hand warm
scarf | clothing | something that keeps your neck warm
sock | clothing | something soft that you wear inside a shoe
piano | instrument | a large musical instrument with black and white keys
guitar | instrument | a musical instrument with six strings
violin | instrument | a small musical instrument played with a bow
drum | instrument | a round musical instrument that you hit
flute | instrument | a long thin musical instrument that you blow
trumpet | instrument | a loud musical instrument made of brass
harp | instrument | a tall musical instrument with many strings
rose | flower | a red flower with thorns
tulip | flower | a spring flower shaped like a cup
daisy | flower | a white flower with a yellow center
lily | flower | a tall flower with large petals
sunflower | flower | a tall yellow flower that turns to the sun
soccer | sport | a game in which two teams kick a ball into a goal
tennis | sport | a game in which players hit a ball over a net
chess | game | a board game with kings and queens
swimming | sport | moving through water with arms and legs
running | sport | moving fast on your feet
skiing | sport | gliding over snow on two long boards
doctor | job | a person who helps sick people
teacher | job | a person who helps students learn
baker | job | a person who makes bread
farmer | job | a person who grows food on a farm
pilot | job | a person who flies planes
nurse | job | a person who cares for patients
painter | job | a person who paints pictures
judge | job | a person who decides in a court
book | object | many printed pages bound together
clock | object | a thing that shows the time
key | object | a small metal thing that opens a lock
lamp | object | a thing that gives light
spoon | object | a thing for eating soup
cup | object | a small container for hot drinks
mirror | object | a glass in which you see yourself
umbrella | object | a thing that keeps you dry in the rain
bag | object | a container for carrying things
candle | object | a stick of wax that gives light
pencil | object | a thin stick for writing and drawing
window | object | an opening with glass in a wall
door | object | a thing that you open to enter a room
river | nature | a long stream of water that flows to the sea
mountain | nature | a very high hill
forest | nature | a large area with many trees
desert | nature | a dry place with much sand and little rain
island | nature | land with water on all sides
lake | nature | a large area of water with land around it
cloud | nature | a white or gray shape in the sky that brings rain
star | nature | a bright point in the night sky
school | building | a place where children learn
hospital | building | a place where sick people get help
library | building | a place where you can borrow books
museum | building | a place where you can see art and old things
bakery | building | a shop that sells bread and cakes
house | building | a place where a family lives
castle | building | a large strong home for a king
"""
_rows = [tuple(part.strip() for part in line.split("|")) for line in _NOUNS.strip().splitlines()]
CATEGORY = {noun: category for noun, category, _ in _rows}
DEFINITION = {noun: definition for noun, _, definition in _rows}
NOUNS = tuple(CATEGORY)
MEMBERS = {
    category: tuple(noun for noun in NOUNS if CATEGORY[noun] == category)
    for category in dict.fromkeys(CATEGORY.values())
}
LISTED = tuple(category for category, nouns in MEMBERS.items() if len(nouns) >= 5)
"""Categories with enough members for a list."""

_SPECIAL = {
    "furniture": ("a piece of furniture", "pieces of furniture"),
    "clothing": ("a piece of clothing", "pieces of clothing"),
    "nature": ("a thing in nature", "things in nature"),
    "food": ("a food", "foods"),
    "instrument": ("a musical instrument", "musical instruments"),
    "job": ("a person", "jobs"),
}
_OVERLAPS = tuple(
    map(
        frozenset,
        (
            ("animal", "bird"),
            ("animal", "insect"),
            ("food", "fruit"),
            ("food", "vegetable"),
            ("food", "drink"),
            ("sport", "game"),
        ),
    )
)
_UNCOUNTED = frozenset(
    words("""
    water milk tea coffee juice bread cheese rice soup pasta spinach soccer tennis chess swimming running skiing""")
)
_PLURALS = {"mouse": "mice", "sheep": "sheep", "wolf": "wolves", "shelf": "shelves", "scarf": "scarves"}


def may_overlap(left: str, right: str) -> bool:
    """Whether a thing may belong to two different categories, so that a question about them has no clear answer."""
    return left != right and (
        not {left, right}.isdisjoint(("object", "nature")) or frozenset((left, right)) in _OVERLAPS
    )


def plural(noun: str) -> str:
    """The plural of a counted noun: irregular by table, else by the rules for y, s, x, ch and o."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith(("s", "x", "ch", "sh")) or noun == "potato":
        return noun + "es"
    return noun + "s"


def a(noun: str) -> str:
    """The noun with its article, `a cat` or `an owl`; uncounted nouns stay bare."""
    if noun in _UNCOUNTED:
        return noun
    return ("an " if noun[0] in "aeiou" else "a ") + noun


ONE = {c: _SPECIAL[c][0] if c in _SPECIAL else a(c) for c in MEMBERS}
MANY = {c: _SPECIAL[c][1] if c in _SPECIAL else plural(c) for c in MEMBERS}
COUNTED = tuple(noun for noun in NOUNS if noun not in _UNCOUNTED)
PLURAL = {noun: plural(noun) for noun in COUNTED}
ARTICLE = {noun: a(noun) for noun in COUNTED}
