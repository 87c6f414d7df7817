#!/bin/sh
# The three endpoints with curl; -N shows what comes the moment it comes.
#
#   wsproc serve --http-port 8000
#   sh examples/http/curl.sh            or: sh examples/http/curl.sh http://HOST:PORT
set -eu
url=${1:-http://127.0.0.1:8000}
text="The view from the harbour was wonderful, and the soup was the best I ever had. \
The waiter, sadly, was slow and rude. We shall come back for the view all the same."

echo "== /process-stream: one JSON object a line"
curl --no-buffer --silent --show-error --fail-with-body \
    --request POST "$url/process-stream" \
    --header "Content-Type: application/json" \
    --data "{\"text\": \"$text\", \"include_entities\": true, \"chunk_size\": 80}"

echo "== /process-batch: one JSON object"
curl --silent --show-error --fail-with-body \
    --request POST "$url/process-batch" \
    --header "Content-Type: application/json" \
    --data "{\"texts\": [\"$text\", \"It rained, and we liked it.\"], \"include_summary\": false}"

echo "== /generate-stream: plain text"
curl --no-buffer --silent --show-error --fail-with-body \
    --request POST "$url/generate-stream" \
    --header "Content-Type: application/json" \
    --data '{"prompt": "The old house stood", "max_tokens": 40, "seed": 1}'
echo
