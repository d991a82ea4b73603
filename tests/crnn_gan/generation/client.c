/* Makes one piece with an exported model and the C interface of TensorFlow, without Python.
 *
 *   client SAVED_MODEL OUT.mid OUTPUT_OPERATION OUTPUT_INDEX [OPERATION TYPE VALUE]...
 *
 * One OPERATION TYPE VALUE for each input of the signature `generate`; TYPE is int32, int64
 * or float32. The names of operations are in the model's signature.json.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/c/c_api.h>

enum { MOST_INPUTS = 32, FIRST_INPUT = 5, WORDS_PER_INPUT = 3 };

static void stop_unless_ok(const TF_Status *status, const char *what) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s: %s\n", what, TF_Message(status));
  exit(1);
}

static TF_Operation *operation(TF_Graph *graph, const char *name) {
  TF_Operation *found = TF_GraphOperationByName(graph, name);
  if (found) return found;
  fprintf(stderr, "the model has no operation %s; signature.json lists them\n", name);
  exit(1);
}

static TF_Tensor *scalar(TF_DataType type, const void *value, size_t bytes) {
  TF_Tensor *tensor = TF_AllocateTensor(type, NULL, 0, bytes);
  memcpy(TF_TensorData(tensor), value, bytes);
  return tensor;
}

static TF_Tensor *parse(const char *type, const char *text) {
  if (!strcmp(type, "int64")) {
    int64_t value = strtoll(text, NULL, 10);
    return scalar(TF_INT64, &value, sizeof value);
  }
  if (!strcmp(type, "int32")) {
    int32_t value = (int32_t)strtol(text, NULL, 10);
    return scalar(TF_INT32, &value, sizeof value);
  }
  if (!strcmp(type, "float32")) {
    float value = strtof(text, NULL);
    return scalar(TF_FLOAT, &value, sizeof value);
  }
  fprintf(stderr, "%s is no type of an input\n", type);
  exit(1);
}

static void write_first_string(const TF_Tensor *strings, const char *path) {
  const TF_TString *first = TF_TensorData(strings);
  size_t size = TF_StringGetSize(first);
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(TF_StringGetDataPointer(first), 1, size, file) != size || fclose(file)) {
    perror(path);
    exit(1);
  }
}

int main(int words, char **word) {
  if (words < FIRST_INPUT || (words - FIRST_INPUT) % WORDS_PER_INPUT ||
      (words - FIRST_INPUT) / WORDS_PER_INPUT > MOST_INPUTS) {
    fprintf(stderr, "usage: client SAVED_MODEL OUT.mid OUTPUT_OPERATION OUTPUT_INDEX "
                    "[OPERATION TYPE VALUE]...\n");
    return 2;
  }
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tag = "serve";
  TF_Session *session =
      TF_LoadSessionFromSavedModel(options, NULL, word[1], &tag, 1, graph, NULL, status);
  stop_unless_ok(status, "loading");

  TF_Output inputs[MOST_INPUTS], output = {operation(graph, word[3]), atoi(word[4])};
  TF_Tensor *values[MOST_INPUTS], *midi_bytes = NULL;
  int count = 0;
  for (int i = FIRST_INPUT; i < words; i += WORDS_PER_INPUT, ++count) {
    inputs[count] = (TF_Output){operation(graph, word[i]), 0};
    values[count] = parse(word[i + 1], word[i + 2]);
  }
  TF_SessionRun(session, NULL, inputs, values, count, &output, &midi_bytes, 1, NULL, 0, NULL,
                status);
  stop_unless_ok(status, "making a piece");
  write_first_string(midi_bytes, word[2]);

  TF_DeleteTensor(midi_bytes);
  while (count) TF_DeleteTensor(values[--count]);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
