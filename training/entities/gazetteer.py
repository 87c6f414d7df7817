"""Small hand-written lists of places and peoples, used to make the corpora's labels agree.

Only the companies, cities, countries and states are part of the shipped pipeline, in its rules.
"""

from __future__ import annotations

COUNTRIES = frozenset(
    """Afghanistan|Albania|Algeria|Andorra|Angola|Argentina|Armenia|Australia|Austria|Azerbaijan
Bahamas|Bahrain|Bangladesh|Barbados|Belarus|Belgium|Belize|Benin|Bhutan|Bolivia|Bosnia
Bosnia and Herzegovina|Bosnia-Herzegovina|Botswana|Brazil|Britain|Brunei|Bulgaria
Burkina Faso|Burma|Burundi|Cambodia|Cameroon|Canada|Cape Verde|Central African Republic|Chad
Chile|China|Colombia|Comoros|Congo|Costa Rica|Croatia|Cuba|Cyprus|Czech Republic
Czechoslovakia|Denmark|Djibouti|Dominica|Dominican Republic|East Germany|East Timor|Ecuador
Egypt|El Salvador|England|Equatorial Guinea|Eritrea|Estonia|Ethiopia|Fiji|Finland|France
Gabon|Gambia|Georgia|Germany|Ghana|Great Britain|Greece|Grenada|Guatemala|Guinea
Guinea-Bissau|Guyana|Haiti|Honduras|Hong Kong|Hungary|Iceland|India|Indonesia|Iran|Iraq
Ireland|Israel|Italy|Ivory Coast|Jamaica|Japan|Jordan|Kazakhstan|Kenya|Kosovo|Kuwait
Kyrgyzstan|Laos|Latvia|Lebanon|Lesotho|Liberia|Libya|Liechtenstein|Lithuania|Luxembourg
Macau|Macedonia|Madagascar|Malawi|Malaysia|Maldives|Mali|Malta|Mauritania|Mauritius|Mexico
Moldova|Monaco|Mongolia|Montenegro|Morocco|Mozambique|Myanmar|Namibia|Nauru|Nepal
Netherlands|New Zealand|Nicaragua|Niger|Nigeria|North Korea|Northern Ireland|Norway|Oman
Pakistan|Palestine|Panama|Papua New Guinea|Paraguay|Peru|Philippines|Poland|Portugal
Puerto Rico|Qatar|Romania|Russia|Rwanda|Samoa|San Marino|Saudi Arabia|Scotland|Senegal
Serbia|Seychelles|Sierra Leone|Singapore|Slovakia|Slovenia|Solomon Islands|Somalia
South Africa|South Korea|South Sudan|South Vietnam|Soviet Union|Spain|Sri Lanka|Sudan
Suriname|Swaziland|Sweden|Switzerland|Syria|Taiwan|Tajikistan|Tanzania|Thailand|Togo|Tonga
Trinidad and Tobago|Tunisia|Turkey|Turkmenistan|Tuvalu|U.A.E.|U.K.|U.S.|U.S.A.|U.S.S.R.|UAE
UK|US|USA|USSR|Uganda|Ukraine|United Arab Emirates|United Kingdom|United States
United States of America|Uruguay|Uzbekistan|Vanuatu|Vatican City|Venezuela|Vietnam|Wales
West Germany|Yemen|Yugoslavia|Zambia|Zimbabwe""".replace("\n", "|")
    .lower()
    .split("|")
)

STATES = frozenset(
    """Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia
Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts
Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey
New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania
Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|West Virginia
Wisconsin|Wyoming|Ontario|Quebec|British Columbia|Alberta|Manitoba|Saskatchewan|Nova Scotia
New Brunswick|Newfoundland""".replace("\n", "|")
    .lower()
    .split("|")
)

REGIONS = frozenset(
    """Africa|Antarctica|Asia|Europe|North America|South America|Latin America|Central America
Eastern Europe|Western Europe|Central Europe|Southeast Asia|South Asia|Central Asia
East Asia|West Africa|East Africa|Middle East|Far East|Balkans|Caucasus|Scandinavia
Caribbean|Mediterranean|Pacific|Atlantic|Arctic|Himalayas|Alps|Andes|Rockies|Sahara|Siberia
Gulf|Persian Gulf|Horn of Africa|Amazon|Nile|Danube|Rhine|Thames|Mekong|Midwest|New England
North Africa|Sub-Saharan Africa|Americas|West Bank|Earth|Mars|Moon|Jupiter|Saturn|Venus|Sun
Mercury|Neptune|Uranus|Pluto|Milky Way""".replace("\n", "|")
    .lower()
    .split("|")
)

NATURE_WORDS = frozenset(
    """river sea ocean lake mount mountain mountains hills valley bay gulf strait island
islands isles peninsula desert coast creek falls forest basin canal cape glacier
plateau rivers lakes ridge canyon archipelago reef beach range volcano strip""".split()
)

FACILITY_WORDS = frozenset(
    """airport street avenue bridge stadium building tower hall highway road station palace
castle museum theatre theater arena square plaza mosque cathedral church temple
hospital prison hotel barracks fort center centre boulevard tunnel dam library house
mall ballroom auditorium zoo""".split()
)

_PEOPLES = """Afghan Albanian Algerian American Angolan Argentine Argentinian Armenian Australian
Austrian Azerbaijani Bahraini Bangladeshi Belarusian Belgian Bolivian Bosnian
Brazilian British Bulgarian Burmese Cambodian Canadian Chadian Chechen Chilean Chinese
Colombian Congolese Croatian Cuban Cypriot Czech Danish Dutch Ecuadorian Egyptian
English Eritrean Estonian Ethiopian European Filipino Finnish French Georgian German
Ghanaian Greek Guatemalan Haitian Honduran Hungarian Icelandic Indian Indonesian
Iranian Iraqi Irish Israeli Italian Ivorian Jamaican Japanese Jordanian Kazakh Kenyan
Korean Kosovar Kuwaiti Kyrgyz Laotian Latvian Lebanese Liberian Libyan Lithuanian
Macedonian Malaysian Maltese Mexican Moldovan Mongolian Moroccan Nepalese Nepali
Nicaraguan Nigerian Norwegian Omani Pakistani Palestinian Panamanian Paraguayan
Persian Peruvian Polish Portuguese Qatari Roman Romanian Russian Rwandan Salvadoran
Saudi Scottish Senegalese Serbian Serb Singaporean Slovak Slovenian Somali Soviet
Spanish Sudanese Swedish Swiss Syrian Taiwanese Tajik Tanzanian Thai Tibetan Tunisian
Turkish Turkmen Ugandan Ukrainian Uruguayan Uzbek Venezuelan Vietnamese Welsh Yemeni
Yugoslav Zambian Zimbabwean African Asian Arab Arabian Kurdish Kurd Jew Jewish Muslim
Islamic Islamist Christian Catholic Protestant Hindu Sikh Buddhist Mormon Anglican
Orthodox Lutheran Methodist Baptist Sunni Shiite Shia Hispanic Latino Democrat
Republican Communist Nazi Democratic Scot Dane Swede Finn Pole Turk Spaniard Briton
Englishman Frenchman Irishman Byzantine Ottoman Bavarian Prussian Hutu Tutsi Pashtun
Uighur Tamil Sinhalese Zulu Basque Catalan Flemish Slavic Hellenic Texan Californian
Londoner Parisian Celtic Norman Viking Bengali Punjabi Sicilian""".split()

PEOPLES = frozenset(_PEOPLES) | {
    word + "s" for word in _PEOPLES if not word.endswith(("sh", "ch", "ese", "ss", "s", "man"))
}
"""Names of peoples, faiths and parties in their usual capitalised form."""

NOT_PEOPLE_ALONE = frozenset({"Democratic", "Orthodox", "Soviet", "Norman", "Christian"})
"""Peoples' names that are as often (parts of) other names: not added to unlabelled text."""

COMPANIES = frozenset(
    """Accenture Adidas Adobe Airbnb Airbus Alibaba Allianz Aramco AstraZeneca AT&T Audi BASF
BBC BMW Barclays Bayer Boeing BuzzFeed CNN Carrefour Chevrolet Chevron
Chrysler Cisco Citigroup Cloudflare Comcast Coursera Daimler DeepMind Deloitte Disney
DoorDash Dropbox Duolingo eBay Equifax Ericsson Etsy Exxon ExxonMobil Facebook FedEx
Foxconn Fujitsu Gazprom GitHub GitLab Glencore GlaxoSmithKline Google Grubhub
H&M HSBC Heineken Hitachi Huawei Hyundai IBM IKEA Ikea Infosys Instagram Intel JPMorgan
KPMG Kickstarter Lenovo LinkedIn Lufthansa Lyft L'Oréal MasterCard Mastercard
McKinsey Microsoft Mitsubishi Mozilla NASA NASDAQ NBC Nasdaq Nestlé Netflix
Nintendo Nissan Nokia Novartis Nvidia OpenAI Panasonic PayPal PepsiCo Peugeot Petrobras
Pfizer Pinterest Porsche PricewaterhouseCoopers Qualcomm Reddit Renault Reuters Rosneft
Ryanair SAP Salesforce Samsung Shopify Siemens SoftBank Sony SpaceX Spotify Starbucks
Stellantis TSMC Tencent TikTok Toshiba Toyota Twitter UNESCO UNICEF Uber
Unilever Verizon Vodafone Volkswagen Volvo Walmart WhatsApp Wikipedia Xerox Xiaomi Yahoo
YouTube Zalando Zillow""".split()
)
"""One-word names that hardly ever mean anything but the organisation."""

CITIES = frozenset(
    """Amsterdam|Ankara|Athens|Atlanta|Auckland|Baghdad|Bangkok|Barcelona|Beijing|Beirut|Belfast
Belgrade|Berlin|Bogotá|Boston|Brisbane|Brussels|Bucharest|Budapest|Buenos Aires|Cairo
Calgary|Cape Town|Caracas|Casablanca|Chicago|Cologne|Copenhagen|Dallas|Damascus|Delhi
Denver|Detroit|Dubai|Dublin|Edinburgh|Frankfurt|Geneva|Glasgow|Hamburg|Hanoi|Havana
Helsinki|Houston|Istanbul|Jakarta|Jerusalem|Johannesburg|Kabul|Karachi|Kiev|Kuala Lumpur
Kyiv|Kyoto|Lagos|Lima|Lisbon|London|Los Angeles|Madrid|Manchester|Manila|Melbourne
Mexico City|Miami|Milan|Montreal|Moscow|Mumbai|Munich|Nairobi|Naples|New Delhi|New York
New York City|Osaka|Oslo|Ottawa|Paris|Philadelphia|Prague|Pyongyang|Rio de Janeiro|Riyadh
Rome|San Diego|San Francisco|Santiago|Sarajevo|Seattle|Seoul|Shanghai|Sofia|Stockholm
Sydney|São Paulo|Taipei|Tehran|Tel Aviv|Tokyo|Toronto|Tripoli|Tunis|Vancouver|Venice
Vienna|Warsaw|Wellington|Zagreb|Zurich""".replace("\n", "|").split("|")
)

ONLY_CAPITALISED = frozenset(
    """chad china georgia guinea jersey jordan maine mali nice niger oman peru turkey us usa
virginia lima wales congo dominica grenada togo sofia burma bosnia macau lagos cologne""".split()
)
"""Places whose names are also words or first names when written small."""
