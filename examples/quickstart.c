// The smallest useful program in C: a durable write, an atomic batch, a read, a scan, and an answer that comes later.
//
//   cc quickstart.c $(pkg-config --static --cflags --libs penstock)
#include <penstock/penstock.h>
#include <stdio.h>
#include <stdlib.h>

/// Ends the program with the failure's text, unless all is well.
static void check(penstock_code code, penstock_failure* failure) {
  if (code != PENSTOCK_OK) {
    fprintf(stderr, "%s: %s\n", penstock_code_name(code), penstock_failure_text(failure));
    penstock_failure_free(failure);
    exit(1);
  }
}

static void print(penstock_bytes bytes) { fwrite(bytes.data, 1, bytes.size, stdout); }

static void write_orders(penstock_database* database, const penstock_family* orders) {
  penstock_failure* failure;
  penstock_batch* batch = penstock_batch_create();  // All of it or nothing.

  // Durable when it returns: on stable storage.
  check(penstock_put(database, orders, penstock_text("order-1"), penstock_text("12 bolts"), NULL, &failure), failure);

  check(penstock_batch_put(batch, orders, penstock_text("order-2"), penstock_text("1 anvil"), &failure), failure);
  check(penstock_batch_put(batch, orders, penstock_text("order-3"), penstock_text("3 springs"), &failure), failure);
  check(penstock_commit(database, batch, NULL, NULL, &failure), failure);
  penstock_batch_free(batch);
}

static void read_orders(penstock_database* database, const penstock_family* orders) {
  penstock_failure* failure;
  penstock_scan_options range;
  penstock_rows* rows;
  penstock_value* value;
  penstock_future* future = penstock_get_async(database, orders, penstock_text("order-2"));  // Many may be in flight.
  size_t index;

  penstock_scan_options_init(&range, sizeof range);
  range.from = penstock_text("order-1");
  range.to = penstock_text("order-3");
  check(penstock_scan(database, orders, &range, &rows, &failure), failure);
  for (index = 0; index < penstock_rows_count(rows); ++index) {
    print(penstock_rows_key(rows, index));
    printf(": ");
    print(penstock_rows_value(rows, index));
    printf("\n");
  }
  penstock_rows_free(rows);

  check(penstock_future_take_value(future, &value, &failure), failure);  // Waits if it is not there yet.
  printf("order-2 is ");
  print(penstock_value_bytes(value));
  printf("\n");
  penstock_value_free(value);
  penstock_future_free(future);
}

int main(int argument_count, char** arguments) {
  const char* directory = argument_count > 1 ? arguments[1] : "quickstart.db";
  penstock_failure* failure;
  penstock_runtime_options options;
  penstock_runtime* runtime;
  penstock_database* database;
  penstock_family* orders;

  penstock_runtime_options_init(&options, sizeof options);
  options.reactors = 2;
  check(penstock_runtime_start(&options, &runtime, &failure), failure);
  check(penstock_database_open(runtime, directory, NULL, &database, &failure), failure);
  check(penstock_family_open_or_create(database, penstock_text("orders"), NULL, &orders, &failure), failure);
  write_orders(database, orders);
  read_orders(database, orders);
  penstock_family_free(orders);
  check(penstock_database_free(database, &failure), failure);
  check(penstock_runtime_stop(runtime, &failure), failure);
  return 0;
}
