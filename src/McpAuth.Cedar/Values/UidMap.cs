namespace McpAuth.Cedar.Values;

/// <summary>
/// Finds things by the name of an entity. Immutable. Names carry their hashes, so a look-up is a place in an array that is at most half full, and a
/// comparison; a general dictionary takes three times as long, and a decision makes half a dozen of them.
/// </summary>
internal sealed class UidMap<T>
    where T : class
{
    private readonly (EntityUid? Uid, T Value)[] places;

    /// <param name="entries">Each name once.</param>
    public UidMap(IReadOnlyCollection<KeyValuePair<EntityUid, T>> entries)
    {
        int size = 2;
        while (size < entries.Count * 2) size *= 2;
        places = new (EntityUid?, T)[size];
        Count = entries.Count;
        foreach ((EntityUid uid, T value) in entries)
        {
            int at = uid.GetHashCode() & (size - 1);
            while (places[at].Uid is not null) at = (at + 1) & (size - 1);
            places[at] = (uid, value);
        }
    }

    public int Count { get; }

    /// <summary>In no order that means anything.</summary>
    public IEnumerable<KeyValuePair<EntityUid, T>> Entries => places.Where(p => p.Uid is not null).Select(p => KeyValuePair.Create(p.Uid!, p.Value));

    /// <summary>What has that name; null when nothing has.</summary>
    public T? Find(EntityUid uid)
    {
        (EntityUid? Uid, T Value)[] all = places;
        for (int at = uid.GetHashCode() & (all.Length - 1); ; at = (at + 1) & (all.Length - 1))
        {
            ref (EntityUid? Uid, T Value) place = ref all[at];
            if (place.Uid is null) return null;
            if (place.Uid.Equals(uid)) return place.Value;
        }
    }
}
