namespace McpAuth.Testing;

/// <summary>
/// A clock that stands still until a test moves it. Timers made from it, and so <c>Task.Delay</c> and timeouts that take a
/// <see cref="TimeProvider"/>, fire on the thread that moves it, in the order they fall due, each seeing its own due time.
/// </summary>
/// <param name="start">The first time shown; default 2026-11-22T12:00:00Z.</param>
public sealed class ManualTime(DateTimeOffset? start = null) : TimeProvider
{
    /// <summary>A clock that moves by a month does not owe two million ticks to what looks every second: as on a machine that slept, most are missed.</summary>
    private const int MostTicks = 32;

    private readonly Lock gate = new();
    private readonly List<ManualTimer> timers = [];
    private DateTimeOffset now = start ?? new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);
    private long elapsed;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>The timers that are waiting, so that a test can wait until the code under test has begun to.</summary>
    public int Waiting
    {
        get
        {
            lock (gate)
                return timers.Count;
        }
    }

    public override DateTimeOffset GetUtcNow()
    {
        lock (gate)
            return now;
    }

    /// <summary>The monotonic clock: moves with <see cref="Advance"/> alone, never with <see cref="Set"/>.</summary>
    public override long GetTimestamp()
    {
        lock (gate)
            return elapsed;
    }

    /// <summary>Time passes: both clocks move, timers that fall due fire.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="by"/> is negative; to turn a clock back, <see cref="Set"/> it.</exception>
    public void Advance(TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        long target;
        lock (gate)
            target = elapsed + by.Ticks;
        while (NextDue(target) is { } timer)
            timer.Fire();
        lock (gate)
            MoveTo(target);
    }

    /// <summary>The wall clock jumps, forwards or back, as after a correction: no timer fires.</summary>
    public void Set(DateTimeOffset to)
    {
        lock (gate)
            now = to.ToUniversalTime();
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentNullException.ThrowIfNull(callback);
        var timer = new ManualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves the clocks to the earliest timer due by <paramref name="target"/> and takes it off the list.</summary>
    private ManualTimer? NextDue(long target)
    {
        lock (gate)
        {
            var timer = timers.MinBy(t => t.Due);
            if (timer is null || timer.Due > target)
                return null;
            MoveTo(Math.Max(timer.Due, elapsed));
            timers.Remove(timer);
            if (timer.Period > 0)
            {
                var next = elapsed + timer.Period;
                // In its own beat: whole periods are left out, and the last ticks are there.
                timer.Due = next + timer.Period * Math.Max(0, (target - next) / timer.Period - MostTicks);
                timers.Add(timer);
            }
            return timer;
        }
    }

    private void MoveTo(long target)
    {
        // A callback may itself have moved the clock on.
        if (target <= elapsed)
            return;
        now = now.AddTicks(target - elapsed);
        elapsed = target;
    }

    private sealed class ManualTimer(ManualTime clock, TimerCallback callback, object? state) : ITimer
    {
        private bool disposed;

        public long Due { get; set; }

        public long Period { get; private set; }

        public void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock.gate)
            {
                clock.timers.Remove(this);
                if (disposed)
                    return false;
                Period = Math.Max(0, period.Ticks);
                if (dueTime != Timeout.InfiniteTimeSpan && dueTime > TimeSpan.Zero)
                {
                    Due = clock.elapsed + dueTime.Ticks;
                    clock.timers.Add(this);
                    return true;
                }
                if (dueTime != TimeSpan.Zero)
                    return true;
                if (Period > 0)
                {
                    Due = clock.elapsed + Period;
                    clock.timers.Add(this);
                }
            }
            // Due at once. As with the system's timer the callback does not run inside the call that made it.
            ThreadPool.QueueUserWorkItem(static timer => timer.Fire(), this, preferLocal: false);
            return true;
        }

        public void Dispose()
        {
            lock (clock.gate)
            {
                disposed = true;
                clock.timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
