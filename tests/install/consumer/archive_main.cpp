// The main() of a test framework, in an archive.
int run_all();

int main() {
  return run_all();
}
