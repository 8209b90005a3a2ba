"""Advice and small talk: what to do, wear, bring and give; how things are done; greetings, thanks, who is speaking."""

from random import Random

from embedded.grammar.task import Answer, Slots, Task, lookup
from embedded.grammar.text import lines, pairs, phrases
from embedded.grammar.vocabulary import NAMES

SKILL = "advice"
_FEELING = pairs("""
tired: go to bed early and sleep well; hungry: eat something warm; thirsty: drink a glass of water
cold: put on a coat; hot: sit in the shade and drink water; bored: read a good book; sad: talk to a friend
angry: take a deep breath and go for a walk; nervous: breathe slowly and count to ten
sick: stay in bed and see a doctor; lonely: call a friend; homesick: call your family
lost: look at a map or ask someone; stressed: take a break and make a plan
sleepy: open a window and get some fresh air""")
_WEATHER = pairs("""
it rains: a raincoat and boots; it is hot: a light shirt and a hat; it is cold: a warm coat and a scarf
it snows: boots, gloves and a hat; it is windy: a thick jacket; I go swimming: a swimsuit
I go running: light shoes and a shirt; I go to a wedding: a nice suit or dress; I ride a bicycle: a helmet
I work in the garden: old clothes and gloves""")
_TRIP = pairs("""
the beach: a towel, water and a hat; the mountains: good shoes, water and a map; school: a pen, paper and your books
a picnic: a blanket, food and drinks; the library: your card and a bag; a party: a small gift and a smile
the gym: sports shoes and a towel; a long trip: your passport, money and a book
the forest: good shoes, water and a snack; the lake: a towel and a swimsuit""")
_LIKES = pairs("""
music: a concert ticket; books: a good novel; cooking: a cookbook; plants: a flower in a pot; sports: a new ball
art: a set of paints; coffee: a nice cup; games: a board game; animals: a book about animals
travel: a map of the world; tea: a teapot; movies: a cinema ticket""")
_STEPS = pairs("""
make tea: First boil water, then pour it over the tea and wait three minutes
boil an egg: First boil water, then put the egg in and wait eight minutes
plant a seed: First make a small hole, then put the seed in and water it
wash my hands: First wet your hands, then use soap and rinse them well
write a letter: First write a greeting, then say what you want and sign it
learn new words: First write them down, then read them aloud every day
make a sandwich: First take two slices of bread, then put cheese between them
clean a window: First wet it with soap, then wipe it dry
cook rice: First wash the rice, then cook it in water for fifteen minutes
fall asleep: First turn off the light, then close your eyes and breathe slowly
save money: First write down what you spend, then set some aside every week
stay healthy: Eat well, move every day and sleep enough
make friends: Smile, listen well and ask kind questions
study for a test: First read your notes, then explain them to someone else
make a fruit salad: First wash the fruit, then cut it and mix it in a bowl
brush my teeth: First put paste on the brush, then brush for two minutes""")
_ABOUT_ME = pairs("""
what your name is: I have no name, I am just a small chat model
who you are: I am a small chat model that runs on any computer
what you can do: I can answer simple questions, count, sort words and write short stories
how you work: I read your words and guess the next word, one at a time
how big you are: I am very small: about two million numbers
where you live: I live inside a small file on your computer
what you like: I like short and clear questions
what you cannot do: I cannot see, hear or browse the web""")


def _greeting(slots: Slots, _: Random) -> Answer:
    return Answer(f"Hello, {slots['name']}! How can I help you today?")


def _thanks(slots: Slots, _: Random) -> Answer:
    return Answer(f"You are welcome! I am glad that I could help you with {slots['topic']}.")


def _goodbye(slots: Slots, _: Random) -> Answer:
    return Answer(f"Goodbye, {slots['name']}! Have a nice {slots['part']}.")


_TOPICS = phrases("""
math; spelling; my homework; the list; the story; the letter; my question; the numbers; the code; the words""")
# fmt: off
TASKS = (
    lookup("feeling", SKILL, 2, "feeling", _FEELING, "If you are {feeling}, {value}.", """
        I am {feeling}. What should I do?
        What can I do when I am {feeling}?
        I feel {feeling} today. Do you have any advice?
        What helps when I am {feeling}?
        Give me advice for when I am {feeling}.
        What do you suggest if I am {feeling}?
        Help, I am {feeling}! What now?"""),
    lookup("wear", SKILL, 2, "weather", _WEATHER, "You should wear {value}.", """
        What should I wear when {weather}?
        What do I wear if {weather}?
        Which clothes do I need when {weather}?
        Tell me what to wear when {weather}.
        Give me advice on clothes for when {weather}.
        What are good clothes for when {weather}?""", (), 0.7),
    lookup("bring", SKILL, 2, "place", _TRIP, "For {place}, bring {value}.", """
        What should I bring to {place}?
        What do I need for {place}?
        I am going to {place}. What should I take with me?
        Tell me what to pack for {place}.
        Help me pack for {place}.
        What should I have with me for {place}?""", ("And for {place}?",), 0.7),
    lookup("gift", SKILL, 3, "hobby", _LIKES, "For someone who likes {hobby}, {value} is a good gift.", """
        What is a good gift for someone who likes {hobby}?
        My friend likes {hobby}. What gift should I buy?
        Suggest a gift for a person who likes {hobby}.
        What can I give to a friend who likes {hobby}?
        I need a gift for someone who likes {hobby}. Any ideas?
        Which present is right for a fan of {hobby}?""", (), 0.7),
    lookup("how_to", SKILL, 4, "doing", _STEPS, "{value}.", """
        How do I {doing}?
        How can I {doing}?
        What is the best way to {doing}?
        Tell me how to {doing}.
        Explain how to {doing}.
        Give me simple steps to {doing}.
        I want to {doing}. How should I start?
        Teach me how to {doing}."""),
    Task("greeting", "talk", 1, lines("""
        Hello, my name is {name}.
        Hi, I am {name}.
        Good morning, I am {name}.
        Hello! I am {name}. How are you?
        Hi there, {name} here.
        Good evening. My name is {name}.
        Hey, my name is {name}."""), {"name": NAMES}, _greeting, split="filling", weight=0.8),
    Task("thanks", "talk", 1, lines("""
        Thank you for your help with {topic}.
        Thanks for helping me with {topic}.
        You helped me a lot with {topic}, thank you.
        Many thanks for your help with {topic}!
        Thanks, that was great help with {topic}."""), {"topic": _TOPICS}, _thanks, weight=0.4),
    Task("goodbye", "talk", 1, lines("""
        Goodbye, {name} is leaving now. Have a nice {part}!
        Bye! {name} wishes you a good {part}.
        I have to go now. Have a nice {part}, says {name}.
        See you soon! {name} hopes you have a good {part}.
        That is all for today. Enjoy your {part}! Yours, {name}."""),
        {"name": NAMES, "part": ("day", "evening", "weekend", "morning", "week")}, _goodbye, split="filling",
        weight=0.5),
    lookup("about_me", "talk", 2, "what", _ABOUT_ME, "{value}.", """
        Tell me {what}.
        Do you know {what}?
        I would like to know {what}.
        Please say {what}.
        Explain {what}.
        I wonder {what}. Can you say?""", (), 0.3),
)
