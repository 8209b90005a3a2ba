"""The closed world of facts: geography, calendar, animals, colors, shapes, translations, sizes.

Every table maps what is asked to what is right. Nouns are in `nouns`, other words and their forms in `vocabulary`.
"""

from itertools import pairwise

from embedded.grammar.text import pairs, phrases, words

CAPITAL = pairs("""
France: Paris; Germany: Berlin; Spain: Madrid; Italy: Rome; Portugal: Lisbon; England: London; Ireland: Dublin
Norway: Oslo; Sweden: Stockholm; Finland: Helsinki; Denmark: Copenhagen; Poland: Warsaw; Austria: Vienna
Greece: Athens; Hungary: Budapest; Russia: Moscow; Turkey: Ankara; Egypt: Cairo; Kenya: Nairobi; Morocco: Rabat
China: Beijing; Japan: Tokyo; India: Delhi; Thailand: Bangkok; Vietnam: Hanoi; Canada: Ottawa; Mexico: Mexico City
Cuba: Havana; Brazil: Brasilia; Chile: Santiago; Peru: Lima; Argentina: Buenos Aires; Australia: Canberra""")
CITY = {city: country for country, city in CAPITAL.items()}
_CONTINENTS = {
    "Europe": """France Germany Spain Italy Portugal England Ireland Norway Sweden Finland Denmark Poland Austria
        Greece Hungary""",
    "Africa": "Egypt Kenya Morocco",
    "Asia": "China Japan India Thailand Vietnam",
    "North America": "Canada Mexico Cuba",
    "South America": "Brazil Chile Peru Argentina",
}
CONTINENT = {country: name for name, countries in _CONTINENTS.items() for country in words(countries)}
LANGUAGE = pairs("""
France: French; Germany: German; Spain: Spanish; Italy: Italian; Portugal: Portuguese; England: English
Norway: Norwegian; Sweden: Swedish; Finland: Finnish; Denmark: Danish; Poland: Polish; Austria: German
Greece: Greek; Hungary: Hungarian; Russia: Russian; Turkey: Turkish; Egypt: Arabic; China: Chinese; Japan: Japanese
Thailand: Thai; Mexico: Spanish; Brazil: Portuguese; Chile: Spanish; Cuba: Spanish; Australia: English""")

DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words("January February March April May June July August September October November December")
ORDINALS = words("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
_SEASONS = {
    "winter": "December January February",
    "spring": "March April May",
    "summer": "June July August",
    "autumn": "September October November",
}
SEASON = {month: season for season, months in _SEASONS.items() for month in words(months)}
_SHORTER = {"February": "28 or 29"} | dict.fromkeys(words("April June September November"), "30")
MONTH_LENGTH = {month: _SHORTER.get(month, "31") for month in MONTHS}

SOUND = pairs("""
cat: meow; dog: woof; cow: moo; sheep: baa; pig: oink; duck: quack; horse: neigh; lion: roar; mouse: squeak
bee: buzz; owl: hoot; wolf: howl; crow: caw; hen: cluck; frog: croak; snake: hiss""")
YOUNG = pairs("""
cat: kitten; dog: puppy; cow: calf; sheep: lamb; horse: foal; pig: piglet; lion: cub; bear: cub; duck: duckling
hen: chick; swan: cygnet; goat: kid; deer: fawn; owl: owlet; frog: tadpole""")
LEGS = (
    dict.fromkeys(words("cat dog horse cow sheep pig lion tiger elephant mouse rabbit bear fox wolf"), "four")
    | dict.fromkeys(words("eagle owl duck penguin parrot swan crow hen"), "two")
    | dict.fromkeys(words("ant bee butterfly fly beetle"), "six")
    | {"spider": "eight", "snake": "no"}
)
HOME = pairs("""
bird: a nest; bee: a hive; dog: a kennel; horse: a stable; rabbit: a burrow; fox: a den; spider: a web; pig: a sty
ant: an anthill; fish: the water; owl: a tree; hen: a coop""")

COLOR = pairs("""
grass: green; snow: white; coal: black; blood: red; a banana: yellow; a lemon: yellow; a carrot: orange
the sky: blue; milk: white; a cherry: red; a pea: green; an elephant: gray; a crow: black; a swan: white
chocolate: brown; a sunflower: yellow; the sea: blue; a pig: pink; a ripe tomato: red; spinach: green; night: black
rice: white; coffee: brown; gold: yellow""")
MIX = {
    ("red", "yellow"): "orange",
    ("blue", "yellow"): "green",
    ("red", "blue"): "purple",
    ("black", "white"): "gray",
    ("red", "white"): "pink",
}
SIDES = pairs("triangle: three; square: four; rectangle: four; pentagon: five; hexagon: six; octagon: eight")
WORKER = pairs("""
bakes bread: a baker; flies planes: a pilot; grows food: a farmer; teaches students: a teacher
helps sick people: a doctor; paints pictures: a painter; cuts hair: a hairdresser; puts out fires: a firefighter
repairs cars: a mechanic; cooks meals: a cook; writes books: a writer; sings songs: a singer
catches fish: a fisherman; sells meat: a butcher; fixes pipes: a plumber; drives a bus: a bus driver
delivers letters: a mail carrier; takes photos: a photographer; designs houses: an architect
looks after teeth: a dentist; treats sick animals: a vet; makes clothes: a tailor""")
SHOP = pairs("""
bread: bakery; books: bookshop; medicine: pharmacy; meat: butcher shop; flowers: flower shop; shoes: shoe store
stamps: post office; toys: toy store; fruit: market; fish: fish market; coffee: cafe; tools: hardware store
a train ticket: train station""")
MATERIAL = pairs("""
a window: glass; a book: paper; a sweater: wool; a candle: wax; a coin: metal; a tire: rubber; a shoe: leather
bread: flour; cheese: milk; wine: grapes; a castle: stone; a key: metal; a mirror: glass; a pencil: wood
an omelet: eggs; butter: milk""")
BODY = pairs("""
see: eyes; hear: ears; smell: nose; taste: tongue; walk: legs; chew: teeth; hold things: hands; think: brain
breathe: lungs; kick a ball: feet""")
TRANSLATION = {
    "Spanish": pairs("""
cat: gato; dog: perro; house: casa; water: agua; milk: leche; book: libro; bread: pan; sun: sol; red: rojo
big: grande; friend: amigo; night: noche; table: mesa; door: puerta; green: verde; yes: si; thank you: gracias
good: bueno; one: uno; two: dos; three: tres"""),
    "French": pairs("""
cat: chat; dog: chien; house: maison; water: eau; milk: lait; book: livre; bread: pain; sun: soleil; red: rouge
big: grand; friend: ami; night: nuit; table: table; door: porte; green: vert; yes: oui; thank you: merci; good: bon
one: un; two: deux; three: trois"""),
    "German": pairs("""
cat: Katze; dog: Hund; house: Haus; water: Wasser; milk: Milch; book: Buch; bread: Brot; sun: Sonne; red: rot
big: gross; friend: Freund; night: Nacht; table: Tisch; door: Tuer; green: gruen; yes: ja; thank you: danke
good: gut; one: eins; two: zwei; three: drei"""),
    "Italian": pairs("""
cat: gatto; dog: cane; house: casa; water: acqua; milk: latte; book: libro; bread: pane; sun: sole; red: rosso
big: grande; friend: amico; night: notte; table: tavolo; door: porta; green: verde; yes: si; thank you: grazie
good: buono; one: uno; two: due; three: tre"""),
}

# From small to large, slow to fast, light to heavy, cold to hot: any two of an order can be compared.
BY_SIZE = words("ant bee mouse rabbit cat dog sheep pig horse elephant")
BY_SPEED = words("snail turtle duck bicycle bus train plane rocket")
BY_WEIGHT = words("feather pencil spoon book chair bed piano car truck ship")
BY_HEAT = phrases("ice; snow; cold water; warm tea; boiling water; fire; the sun")

_RHYMES = phrases("""
cat hat bat rat mat; dog log fog frog; tree bee sea knee key; house mouse; moon spoon soon noon
ball wall tall fall hall; night light bright right kite; day play way say gray; cake lake snake make
ring sing king wing; star car far jar; boat coat goat; nose rose; book cook look hook; rain train plane
bell well shell; fish dish wish; bed red head bread; sun run fun one; chair bear hair pear""")
RHYMES = tuple(map(words, _RHYMES))
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
AFTER = dict(pairwise(ALPHABET))

NUMBER_WORDS = words("""
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen""")
_TENS = words("zero ten twenty thirty forty fifty sixty seventy eighty ninety")


def in_words(number: int) -> str:
    """A number from 0 to 99 in English words: 42 is `forty-two`."""
    if number < 20:
        return NUMBER_WORDS[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{NUMBER_WORDS[ones]}" if ones else "")
