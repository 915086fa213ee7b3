from orchestration.reports import definitions, delivery
def test_all(published):
    for name in definitions.available():
        sent = delivery.preview(name)
        print(name, sent.held)
