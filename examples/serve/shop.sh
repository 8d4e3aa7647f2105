#!/bin/sh
# What the page does, in curl. Usage: examples/serve/shop.sh [URL]
set -eu
url=${1:-http://127.0.0.1:8080}
user=visitor-$$
ask() { curl --silent --show-error --fail-with-body --header 'content-type: application/json' "$@" && echo; }

echo 'What everybody buys:'
popular=$(ask "$url/v1/popular?k=3")
echo "$popular"
item=$(echo "$popular" | sed 's/^{"items":\[{"id":"\([^"]*\)".*/\1/')

echo "What a new visitor may want:"
ask "$url/v1/users/$user/recommendations?k=3"

echo "The visitor buys $item, and may want now:"
ask "$url/v1/events" --data "{\"user\":\"$user\",\"item\":\"$item\",\"type\":\"purchase\"}"
ask "$url/v1/users/$user/recommendations?k=3&explain=true"

echo "Items like it:"
ask "$url/v1/items/$item/similar?k=3"

echo "A session, of which nothing is stored:"
ask "$url/v1/recommendations" --data "{\"history\":[\"$item\"],\"k\":3}"

echo "The visitor is erased:"
ask --request DELETE "$url/v1/users/$user"
