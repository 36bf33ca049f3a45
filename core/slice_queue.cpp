#include "core/slice_queue.hpp"

#include "core/memory.hpp"

namespace sluice {

bool slice_queue::push(slice added) noexcept {
  if (added.size_bytes == 0) {
    release_buffer(*added.from);
    return true;
  }
  if (count_ == capacity_ && !grow()) {
    return false;
  }
  slots_[(head_ + count_) & (capacity_ - 1)] = added;
  ++count_;
  if (count_ == 1) {
    open_front();
  } else {
    behind_bytes_ += added.size_bytes;
  }
  return true;
}

slice slice_queue::take_front() noexcept {
  slice front = slots_[head_];
  front.offset = static_cast<std::uint32_t>(cursor_ - front.from->bytes);
  front.size_bytes = static_cast<std::uint32_t>(end_ - cursor_);
  drop_front_slot();
  return front;
}

void slice_queue::clear() noexcept {
  while (count_ != 0) {
    finish_front();
  }
  release_spill();
}

void slice_queue::finish_front() noexcept {
  buffer& used = *slots_[head_].from;
  drop_front_slot(); // before recycle(): the queue is consistent whatever the owner does
  release_buffer(used);
}

void slice_queue::drop_front_slot() noexcept {
  head_ = (head_ + 1) & (capacity_ - 1);
  --count_;
  if (count_ != 0) {
    behind_bytes_ -= slots_[head_].size_bytes;
    open_front();
    return;
  }
  cursor_ = nullptr;
  end_ = nullptr;
  head_ = 0; // the same cache line again next time
  if (capacity_ > kept_slices) {
    release_spill();
  }
}

void slice_queue::open_front() noexcept {
  const slice& front = slots_[head_];
  cursor_ = front.from->bytes + front.offset;
  end_ = cursor_ + front.size_bytes;
}

bool slice_queue::grow() noexcept {
  if (capacity_ > UINT32_MAX / 2 / sizeof(slice)) {
    return false;
  }
  const std::uint32_t doubled = capacity_ * 2;
  auto* grown = static_cast<slice*>(memory::allocate(doubled * sizeof(slice)));
  if (grown == nullptr) {
    return false;
  }
  for (std::uint32_t i = 0; i < count_; ++i) {
    grown[i] = slots_[(head_ + i) & (capacity_ - 1)];
  }
  if (slots_ != inline_) {
    memory::release(slots_);
  }
  slots_ = grown;
  capacity_ = doubled;
  head_ = 0;
  return true;
}

// Only when empty.
void slice_queue::release_spill() noexcept {
  if (slots_ != inline_) {
    memory::release(slots_);
    slots_ = inline_;
    capacity_ = inline_slices;
    head_ = 0;
  }
}

} // namespace sluice
