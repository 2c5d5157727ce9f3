"""The fictional values that random orders consist of."""

from typing import NamedTuple


class Place(NamedTuple):
    """A destination with its language, currency and dialling code."""

    locale: str
    currency: str
    dialling_code: str
    city: str
    region: str
    streets: tuple[str, ...]
    names: tuple[str, ...]


PLACES = (
    Place(
        "ru",
        "RUB",
        "+7",
        "Санкт-Петербург",
        "Ленинградская область",
        ("Невский проспект", "улица Рубинштейна", "набережная Фонтанки"),
        ("Анна Ветрова", "Пётр Озёрный", "Юлия Щёткина"),
    ),
    Place(
        "ru",
        "RUB",
        "+7",
        "Казань",
        "Татарстан",
        ("улица Баумана", "улица Декабристов"),
        ("Айгуль Сафина", "Тимур Галеев", "Ольга Ёжикова"),
    ),
    Place(
        "en",
        "USD",
        "+1",
        "Springfield",
        "Oregon",
        ("Evergreen Terrace", "Plymouth Road", "O'Hara Street"),
        ("Jane Roe", "Sean O'Malley", "Mary-Ann Smith"),
    ),
    Place(
        "de",
        "EUR",
        "+49",
        "München",
        "Bayern",
        ("Königinstraße", "Schellingstraße"),
        ("Jürgen Groß", "Käthe Müller"),
    ),
    Place(
        "he",
        "ILS",
        "+972",
        "קריית מוצקין",
        "חיפה",
        ("שדרות ירושלים", "רחוב הזית"),
        ("נועה לוי", "דוד כהן"),
    ),
    Place(
        "kk",
        "KZT",
        "+7",
        "Алматы",
        "Алматы облысы",
        ("Абай даңғылы", "Достық даңғылы"),
        ("Айсұлу Қасымова", "Нұрлан Әбенов"),
    ),
    Place(
        "ja",
        "JPY",
        "+81",
        "大阪市",
        "大阪府",
        ("心斎橋筋", "御堂筋"),
        ("山田花子", "佐藤健"),
    ),
)

GOODS = (
    ("Mascaras", "Vivienne Sabo"),
    ("Кружка «Доброе утро»", "Гжель"),
    ("Свитер вязаный", "Твоё"),
    ("Crème de jour", "Élan"),
    ("Trinkflasche 0,5 l", "Blaue Möwe"),
    ("Running shoes", "Northwind"),
    ("USB-C cable, 2 m", "Volt & Söhne"),
    ("Blåbærsyltetøy", "Fjell"),
    ("抹茶", "京の葉"),
    ("Puzzle 🧩 1000", "Tessera"),
)
SIZES = ("0", "XS", "S", "M", "L", "XL", "42", "2 m")
PROVIDERS = ("wbpay", "cardpay", "invoice")
BANKS = ("alpha", "beta", "Öster", "Гамма")
CARRIERS = ("meest", "cdek", "dhl", "Почта")
ENTRIES = ("WBIL", "WBRU", "WBEU")
STATUSES = (200, 202, 204, 400)
